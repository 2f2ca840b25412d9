//! What a run does for classes, where no method was named.

use super::owner::Owner;
use super::{
    Budget, Columns, Draw, EvalOptions, ExampleCounts, Given, Inputs, Machine, Place, Settings,
    StepSizes, Storage,
};
use zograd_models::ModelConfig;
use zograd_select::Methods;

/// The preset.
pub(crate) const RECIPE: &str = "start/any/recipe";

/// Fewest training rows: below that the norm before the head is not fitted.
pub(crate) const FEWEST_ROWS: usize = 128;

/// The settings of the recipe with what was given, if nothing was that goes with a method of its own, and the run is long
/// enough: its steps are at least half of what is paid.
pub(super) fn of_classes(given: &Given, methods: &Methods) -> Option<Box<Settings>> {
    if !given
        .keys()
        .all(|key| goes_with_any(key) || is_of_recipe(given, key))
    {
        return None;
    }
    let given = given.clone().with("preset", RECIPE);
    // what it cannot have, another method may
    let settings = Settings::resolve(given, methods).ok()?;
    let all = settings.forwards(methods).ok()??;
    let each = settings.procedure.forwards(methods).ok()??;
    let of_steps = each.saturating_mul(settings.config.steps);
    let is_measured = settings.machine.storage() == Storage::F32;
    let fits = is_measured && !settings.inputs.built_in() && 2 * of_steps >= all;
    fits.then(|| Box::new(settings))
}

/// Whether this says no more than the recipe does too.
fn is_of_recipe(given: &Given, key: &str) -> bool {
    match key {
        "eps" | "noise" | "arithmetic" => true,
        "tune" => given.text(key) == Some("full"),
        "objective" => matches!(given.text(key), Some("auto" | "classification")),
        _ => false,
    }
}

/// Whether this says nothing of how better weights are found.
fn goes_with_any(key: &str) -> bool {
    Inputs::has(key)
        || Columns::has(key)
        || ExampleCounts::has(key)
        || StepSizes::has(key)
        || Draw::has(key)
        || Budget::has(key)
        || EvalOptions::has(key)
        || Machine::has(key)
        || Place::has(key)
}

impl Settings {
    /// The recipe instead of the method that stands for all, once.
    pub(crate) fn take_recipe(&mut self) -> Option<Box<Self>> {
        self.recipe.take()
    }

    /// `recipe` with what these know of the rows by now.
    pub(crate) fn into_recipe(self, recipe: Self) -> Self {
        Self {
            inputs: self.inputs,
            sizes: self.sizes,
            objective: self.objective,
            out: self.out,
            ..recipe
        }
    }
}

/// Whether a model like this has the norm that the recipe fits.
pub(crate) fn has_last_norm(config: &ModelConfig) -> bool {
    config.opt().is_none_or(|opt| {
        opt.do_layer_norm_before
            && !opt.remove_final_layer_norm
            && opt.word_embed_proj_dim == config.hidden_size
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(given: &str) -> String {
        let given: toml::Table = given.parse().expect("TOML");
        let settings = Settings::resolve(Given::from(given), &Methods::built_in());
        let mut settings = settings.expect("resolves");
        settings
            .take_recipe()
            .map_or(settings.method.clone(), |recipe| recipe.method)
    }

    const ROWS: &str = "model = \"m\"\ntask = \"sst2\"\ndata = \"d\"\n";

    #[test]
    fn the_recipe_stands_where_nothing_is_said_of_a_method() {
        for open in [
            "",
            "lr = 1e-5",
            "tune = \"full\"\nobjective = \"auto\"\neps = 1e-3",
            "forwards = 600\nseed = 3",
            "batch-size = 8\ndev-examples = 10\nout = \"o\"\nthreads = 1",
            "lr-forwards = 16",
        ] {
            assert_eq!(
                method(&format!("{ROWS}{open}")),
                "pool-regression",
                "{open}"
            );
        }
        for said in [
            "method = \"gv\"",
            "pool = 8",
            "tune = \"lora\"",
            "objective = \"accuracy\"",
            "dtype = \"bf16\"\nbackend = \"flex\"",
            "calibrate = true",
            "perturbation = \"subzero\"",
            // too short for what comes before its first step
            "steps = 2",
            "forwards = 100",
            // nobody knows how long that is
            "seconds = 60.0",
        ] {
            assert_eq!(method(&format!("{ROWS}{said}")), "gv", "{said}");
        }
        assert_eq!(method("steps = 1000"), "gv", "what is built in");
    }

    #[test]
    fn the_norm_is_told_by_the_configuration() {
        let named = |name: &str| ModelConfig::named(name).expect(name);
        for (name, has) in [
            ("opt-125m", true),
            ("opt-350m", false),
            ("smollm2-135m", true),
        ] {
            assert_eq!(has_last_norm(&named(name)), has, "{name}");
        }
    }
}
