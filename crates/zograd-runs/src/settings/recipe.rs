//! What a run does for classes, where no method was named.

use super::owner::Owner;
use super::{
    Budget, Columns, Draw, EvalOptions, ExampleCounts, Given, Inputs, Machine, Place, Settings,
    StepSizes, Storage, as_integer,
};
use zograd_models::ModelConfig;
use zograd_select::Methods;
use zograd_tasks::SplitCounts;

/// The preset.
pub(crate) const RECIPE: &str = "start/any/recipe";

/// Fewest training rows: below that the norm before the head is not fitted.
pub(crate) const FEWEST_ROWS: usize = 128;

/// What the settings of the recipe are made of, if nothing was given that goes with a method of its own.
pub(super) fn of_classes(given: &Given) -> Option<Given> {
    let is_open = |key: &str| goes_with_any(key) || is_of_recipe(given, key);
    let is_own = given.keys().all(is_open);
    is_own.then(|| given.clone().with("preset", RECIPE))
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
    /// Whether the recipe stands for these where rows have classes: no method was named.
    pub(crate) fn may_have_recipe(&self) -> bool {
        self.recipe.is_some() && !self.inputs.built_in()
    }

    /// The recipe instead of the method that stands for all, for the rows that were found, if the run is long enough: its steps
    /// are at least half of what is paid.
    pub(crate) fn recipe(&self, found: &SplitCounts, methods: &Methods) -> Option<Self> {
        let given = self.recipe.clone().filter(|_| self.may_have_recipe())?;
        let rows = as_integer(found.train.got);
        // what it cannot have, another method may
        let settings = Self::resolve(given.with("train-examples", rows), methods).ok()?;
        let all = settings.forwards(methods).ok()??;
        let each = settings.procedure.forwards(methods).ok()??;
        let of_steps = each.saturating_mul(settings.config.steps);
        let is_measured = settings.machine.storage() == Storage::F32;
        let sizes = self.sizes.as_found(found);
        (is_measured && 2 * of_steps >= all).then_some(Self { sizes, ..settings })
    }

    /// `recipe` with what these know of the rows by now.
    pub(crate) fn into_recipe(self, recipe: Self) -> Self {
        Self {
            inputs: self.inputs,
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
    use zograd_tasks::Count;

    fn method(given: &str) -> String {
        let given: toml::Table = given.parse().expect("TOML");
        method_for(1000, given)
    }

    /// The method for so many training rows.
    fn method_for(rows: usize, given: toml::Table) -> String {
        let settings = Settings::resolve(Given::from(given), &Methods::built_in());
        let settings = settings.expect("resolves");
        let recipe = settings.recipe(&found(&settings, rows), &Methods::built_in());
        recipe.unwrap_or(settings).method
    }

    /// So many rows for training, and as many as asked for else.
    fn found(settings: &Settings, rows: usize) -> SplitCounts {
        let all = |asked: usize| Count { asked, got: asked };
        let train = Count {
            asked: settings.sizes.train,
            got: rows,
        };
        SplitCounts {
            train,
            dev: all(settings.sizes.dev),
            test: all(settings.sizes.test),
            demonstrations: all(0),
            train_rows: rows,
            validation_rows: 0,
            dev_rows: None,
        }
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

    /// A head fit on fewer rows takes fewer forward passes, so that a shorter run is long enough, and the rest goes to the steps.
    #[test]
    fn a_run_on_few_rows_need_not_be_as_long() {
        let given = |more: &str| format!("{ROWS}{more}").parse().expect("TOML");
        assert_eq!(method_for(1000, given("forwards = 100")), "gv");
        assert_eq!(method_for(160, given("forwards = 100")), "pool-regression");
        // fewer than the fit on 1,000 rows would take
        assert_eq!(method_for(160, given("forwards = 60")), "pool-regression");
        let settings = |given: toml::Table| {
            Settings::resolve(Given::from(given), &Methods::built_in()).expect("resolves")
        };
        let steps = |rows: usize, given: toml::Table| {
            let settings = settings(given);
            let found = found(&settings, rows);
            let settings = settings.with_rows(&found, &Methods::built_in());
            settings.expect("resolves").config.steps
        };
        let fitted = "method = \"mezo\"\nhead-fit = 1000\nforwards = 300";
        // two forward passes a step, 63 of the fit, and 12 of one on 190 rows
        assert_eq!(steps(1000, given(fitted)), 118);
        assert_eq!(steps(190, given(fitted)), 144);
        let in_steps = fitted.replace("forwards = 300", "steps = 118");
        assert_eq!(steps(190, given(&in_steps)), 118);
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
