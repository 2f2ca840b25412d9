//! One step of every method against the numbers of the Python originals: a quadratic with given noise.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use zograd_select::{
    Action, Direction, Greedy, GuidingVector, GuidingVectorHistory, Mezo, NSpsa, Seed, StepContext,
    Strategy, Update, run_step,
};

/// Agreement in f64; the originals ran in f64, too.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Reference {
    tensors: Vec<Tensor>,
    lr: f64,
    eps: f64,
    weight_decay: f64,
    alpha: f64,
    theta0: Vec<f64>,
    a: Vec<f64>,
    c: Vec<f64>,
    u: Vec<f64>,
    z: Vec<Vec<f64>>,
    cases: HashMap<String, Value>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    offset: usize,
}

/// The reference, `None` (and a word about it) where it is not there, which CI does not accept.
fn reference() -> Option<Reference> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/reference/estimators/quadratic.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "{} is missing",
            path.display()
        );
        eprintln!("skipped: ../shared is not here");
        return None;
    };
    Some(serde_json::from_str(&text).expect("the reference's layout"))
}

/// Weights under the reference's noise: the seeds of the candidates stand for given vectors.
struct Runner<'a> {
    reference: &'a Reference,
    theta: Vec<f64>,
    noise: HashMap<Seed, usize>,
}

impl<'a> Runner<'a> {
    fn new(reference: &'a Reference) -> Self {
        Self {
            theta: reference.theta0.clone(),
            noise: HashMap::new(),
            reference,
        }
    }

    fn step(&self, step: u64) -> StepContext {
        StepContext::new(step, Seed::new(1000 + step), self.reference.eps)
    }

    /// Candidate `i` of this step has the noise `z[indices[i]]`.
    fn give(&mut self, step: &StepContext, indices: &[usize]) {
        for (i, &z) in indices.iter().enumerate() {
            self.noise.insert(step.seed.child(i as u64), z);
        }
    }

    fn vector(&self, direction: &Direction) -> Vec<f64> {
        let mut sum = vec![0.0; self.theta.len()];
        for (seed, c) in direction.terms() {
            for (s, z) in sum.iter_mut().zip(&self.reference.z[self.noise[seed]]) {
                *s += c * z;
            }
        }
        sum
    }

    fn loss(&self, direction: &Direction) -> f64 {
        let r = self.reference;
        let d = self.vector(direction);
        let theta: Vec<f64> = self
            .theta
            .iter()
            .zip(&d)
            .map(|(t, d)| t + r.eps * d)
            .collect();
        let bowl: f64 = (0..theta.len())
            .map(|i| r.a[i] * (theta[i] - r.c[i]).powi(2))
            .sum();
        let valley: f64 = theta.iter().zip(&r.u).map(|(t, u)| t * u).sum();
        let ripple: f64 = theta.iter().map(|t| t.cos()).sum();
        0.5 * bowl + 0.5 * valley * valley + 0.05 * ripple
    }

    fn apply(&mut self, update: &Update) {
        let r = self.reference;
        let d = self.vector(&update.direction);
        for tensor in &r.tensors {
            let decays = !tensor.name.contains("bias") && !tensor.name.contains("layer_norm");
            let lambda = if decays { r.weight_decay } else { 0.0 };
            let len: usize = tensor.shape.iter().product();
            let range = tensor.offset..tensor.offset + len;
            for (theta, d) in self.theta[range.clone()].iter_mut().zip(&d[range]) {
                *theta -= r.lr * (d + lambda * *theta);
            }
        }
    }

    /// Runs a step with these vectors as its candidates, applies it, and returns the losses and the update.
    fn run(&mut self, strategy: &mut dyn Strategy, step: u64, z: &[usize]) -> (Vec<f64>, Update) {
        let step = self.step(step);
        self.give(&step, z);
        let outcome = run_step(strategy, &step, |d| self.loss(d)).expect("a step");
        let update = outcome.update.expect("an update");
        self.apply(&update);
        (outcome.evaluations.iter().map(|e| e.loss).collect(), update)
    }
}

fn close(actual: f64, expected: &Value, what: &str) {
    let expected = expected
        .as_f64()
        .unwrap_or_else(|| panic!("{what}: a number"));
    let error = (actual - expected).abs() / expected.abs().max(1.0);
    assert!(error < TOLERANCE, "{what}: {actual} instead of {expected}");
}

fn all_close(actual: &[f64], expected: &Value, what: &str) {
    let expected = expected
        .as_array()
        .unwrap_or_else(|| panic!("{what}: a list"));
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (a, e) in actual.iter().zip(expected) {
        close(*a, e, what);
    }
}

fn indices(value: &Value) -> Vec<usize> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|v| v.as_u64().expect("an index") as usize)
        .collect()
}

/// A case that is added to the reference wants a test here.
#[test]
fn every_case_is_tested() {
    let Some(r) = reference() else { return };
    let mut names: Vec<_> = r.cases.keys().map(String::as_str).collect();
    names.sort_unstable();
    let tested = [
        "greedy_m2",
        "greedy_m4",
        "greedy_m5",
        "gv_history",
        "gv_m2",
        "gv_m4",
        "gv_m4_tie",
        "gv_m5",
        "mezo",
        "mezo_5steps",
        "nspsa_q3",
    ];
    assert_eq!(names, tested);
}

#[test]
fn mezo_and_its_five_steps() {
    let Some(r) = reference() else { return };
    let mut strategy = Mezo;
    let case = &r.cases["mezo"];
    let mut runner = Runner::new(&r);
    let (losses, update) = runner.run(&mut strategy, 0, &indices(&case["z"]));
    close(losses[0], &case["loss_plus"], "L+");
    close(losses[1], &case["loss_minus"], "L-");
    close(update.projected_gradient, &case["projected_grad"], "g");
    all_close(&runner.theta, &case["theta1"], "theta1");

    let case = &r.cases["mezo_5steps"];
    let mut runner = Runner::new(&r);
    for (k, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        let z = step["z"].as_u64().expect("an index") as usize;
        let (losses, update) = runner.run(&mut strategy, k as u64, &[z]);
        close(losses[0], &step["loss_plus"], "L+");
        close(losses[1], &step["loss_minus"], "L-");
        close(update.projected_gradient, &step["projected_grad"], "g");
        close(
            runner.loss(&Direction::zero()),
            &step["loss_after"],
            "loss after",
        );
    }
    all_close(&runner.theta, &case["theta_final"], "theta");
}

#[test]
fn n_spsa() {
    let Some(r) = reference() else { return };
    let case = &r.cases["nspsa_q3"];
    let mut runner = Runner::new(&r);
    let mut strategy = NSpsa::new(3).expect("valid");
    let (losses, update) = runner.run(&mut strategy, 0, &indices(&case["z"]));
    for (pair, expected) in losses
        .chunks(2)
        .zip(case["loss_plus_minus"].as_array().expect("pairs"))
    {
        all_close(pair, expected, "L+, L-");
    }
    let slopes = case["projected_grads"].as_array().expect("slopes");
    for (k, slope) in slopes.iter().enumerate() {
        let seed = runner.step(0).seed.child(k as u64);
        close(3.0 * update.direction.coefficient(seed), slope, "g");
    }
    all_close(&runner.theta, &case["theta1"], "theta1");
}

#[test]
fn guiding_vectors() {
    let Some(r) = reference() else { return };
    for name in ["gv_m2", "gv_m4", "gv_m5"] {
        let case = &r.cases[name];
        let z = indices(&case["pool_z"]);
        let mut strategy = GuidingVector::new(z.len(), r.alpha, true).expect("valid");
        let mut runner = Runner::new(&r);
        let (losses, update) = runner.run(&mut strategy, 0, &z);
        all_close(&losses[..z.len()], &case["pool_losses"], name);
        close(losses[z.len()], &case["loss_plus"], name);
        close(losses[z.len() + 1], &case["loss_minus"], name);
        close(update.projected_gradient, &case["projected_grad"], name);
        let v = &update.direction * (1.0 / update.projected_gradient);
        all_close(&runner.vector(&v), &case["v"], name);
        all_close(&runner.theta, &case["theta1"], name);
    }
}

/// A pool of two, without the two forwards that cannot change anything.
#[test]
fn a_guiding_vector_of_two_needs_no_pool_losses() {
    let Some(r) = reference() else { return };
    let mut runner = Runner::new(&r);
    let mut strategy = GuidingVector::new(2, r.alpha, false).expect("valid");
    let (losses, _) = runner.run(&mut strategy, 0, &[0, 1]);
    assert_eq!(losses.len(), 2);
    all_close(&runner.theta, &r.cases["gv_m2"]["theta1"], "theta1");
}

#[test]
fn a_tie_keeps_the_order_of_the_candidates() {
    let Some(r) = reference() else { return };
    let case = &r.cases["gv_m4_tie"];
    let z = indices(&case["pool_z"]);
    let mut strategy = GuidingVector::new(z.len(), r.alpha, false).expect("valid");
    let mut runner = Runner::new(&r);
    let (losses, update) = runner.run(&mut strategy, 0, &z);
    all_close(&losses[..z.len()], &case["pool_losses"], "losses");
    let v = &update.direction * (1.0 / update.projected_gradient);
    all_close(&runner.vector(&v), &case["v"], "v");
}

#[test]
fn greedy() {
    let Some(r) = reference() else { return };
    for name in ["greedy_m2", "greedy_m4", "greedy_m5"] {
        let case = &r.cases[name];
        let z = indices(&case["pool_z"]);
        let mut runner = Runner::new(&r);
        let mut strategy = Greedy::new(z.len()).expect("valid");
        let (losses, update) = runner.run(&mut strategy, 0, &z);
        // the loss at +z is the pool's and not evaluated again
        assert_eq!(losses.len(), z.len() + 1);
        all_close(&losses[..z.len()], &case["pool_losses"], name);
        let pick = case["pick"].as_u64().expect("an index") as usize;
        let place = z.iter().position(|i| *i == pick).expect("in the pool");
        close(losses[place], &case["loss_plus"], name);
        close(losses[z.len()], &case["loss_minus"], name);
        close(update.projected_gradient, &case["projected_grad"], name);
        all_close(&runner.theta, &case["theta1"], name);
    }
}

#[test]
fn guiding_vectors_with_history() {
    let Some(r) = reference() else { return };
    let mut runner = Runner::new(&r);
    let mut strategy = GuidingVectorHistory::new();
    let steps = r.cases["gv_history"]["steps"].as_array().expect("steps");
    let mut compared = Vec::new();
    for (k, step) in steps.iter().enumerate() {
        // later steps draw one new candidate; the other is a seed that has its noise already
        let candidates = indices(&step["candidates"]);
        let fresh = if k == 0 {
            &candidates[..]
        } else {
            &candidates[..1]
        };
        let (losses, update) = runner.run(&mut strategy, k as u64, fresh);
        all_close(&losses[..2], &step["losses"], "losses");
        close(losses[2], &step["loss_plus"], "L+");
        close(losses[3], &step["loss_minus"], "L-");
        close(update.projected_gradient, &step["projected_grad"], "g");
        // given after the first and after the last step
        if !step["theta_after"].is_null() {
            all_close(&runner.theta, &step["theta_after"], "theta");
            compared.push(k);
        }
        let best = step["best"].as_u64().expect("an index") as usize;
        // the next step would evaluate the record beside its new candidate
        let next = strategy.next(&runner.step(k as u64 + 1), &[]);
        let Ok(Action::Evaluate(asked)) = next else {
            panic!("a step begins with its candidates, not {next:?}");
        };
        let (record, _) = asked[1].terms()[0];
        assert_eq!(runner.noise[&record], best);
    }
    assert_eq!(compared, [0, steps.len() - 1]);
}
