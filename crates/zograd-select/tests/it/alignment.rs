//! What the methods are worth in the linear regime: `a = d cos^2(estimate, gradient)`, the number of random
//! directions an estimate equals, and `E[estimate . g] / |g|^2`.
//!
//! The expected values are those of independent simulations (d = 4000, 400 draws, unit curvature); here
//! d = 400 and 1500 draws. The standard error of a mean of squares is about sqrt(2 / 1500) = 4% of it, the
//! effect of the smaller d is of order a / d = 2%: the threshold is 15% (about 3 standard errors and the bias).

use std::collections::HashMap;
use zograd_select::{Direction, MethodSpec, Methods, Seed, StepContext, run_step};

const D: usize = 400;
const DRAWS: u64 = 1500;

/// Standard normals from a seed (Box-Muller on SplitMix64): test noise, unrelated to the library's.
fn normals(seed: Seed) -> Vec<f64> {
    let uniform = |k: u64| ((seed.child(k).value() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (0..D as u64)
        .map(|i| {
            let (u, v) = (uniform(2 * i), uniform(2 * i + 1));
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
        .collect()
}

/// (a, E[estimate . g] / |g|^2)
fn measure(method: &MethodSpec) -> (f64, f64) {
    let mut strategy = Methods::built_in().build(method).expect("valid");
    let (mut alignment, mut gain) = (0.0, 0.0);
    for step in 0..DRAWS {
        let context = StepContext::new(step, Seed::new(99).child(step), 1e-3);
        let mut noise: HashMap<Seed, Vec<f64>> = HashMap::new();
        let mut vector = |d: &Direction| {
            let mut sum = vec![0.0; D];
            for (seed, c) in d.terms() {
                let z = noise.entry(*seed).or_insert_with(|| normals(*seed));
                sum.iter_mut().zip(z).for_each(|(s, z)| *s += c * *z);
            }
            sum
        };
        // gradient (1, 0, 0, ..), curvature 1
        let outcome = run_step(strategy.as_mut(), &context, |d| {
            let x = vector(d);
            1e-3 * x[0] + 0.5 * 1e-6 * x.iter().map(|x| x * x).sum::<f64>()
        })
        .expect("a step");
        let estimate = vector(&outcome.update.expect("an update").direction);
        let norm: f64 = estimate.iter().map(|x| x * x).sum();
        alignment += D as f64 * estimate[0] * estimate[0] / norm;
        gain += estimate[0];
    }
    (alignment / DRAWS as f64, gain / DRAWS as f64)
}

#[test]
fn alignment_per_forward_is_as_simulated() {
    let pool = |name: &str, pool: usize| MethodSpec::new(name).with("pool", pool);
    for (method, alignment, gain) in [
        (MethodSpec::new("mezo"), 1.03, 1.03),
        (MethodSpec::new("n-spsa").with("queries", 3), 2.90, 0.97),
        (pool("gv", 2), 0.97, 1.94),
        (pool("gv", 4), 2.00, 2.01),
        (pool("gv", 8), 4.45, 2.22),
        (pool("greedy", 4), 1.48, 1.48),
        (pool("greedy", 8), 2.37, 2.36),
        (pool("pool-regression", 4), 2.88, 0.96),
        (pool("pool-regression", 8), 6.87, 0.98),
    ] {
        let (a, g) = measure(&method);
        assert!(
            (a / alignment - 1.0).abs() < 0.15,
            "{method}: a = {a}, expected {alignment}"
        );
        assert!(
            (g / gain - 1.0).abs() < 0.15,
            "{method}: gain {g}, expected {gain}"
        );
    }
}
