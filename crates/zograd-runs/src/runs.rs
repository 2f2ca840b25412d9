//! What a program can run.

use crate::backend::dispatch;
use crate::error::{Blame, Result, refuse};
use crate::folder::{
    CONFIG, Interrupted, Lock, Longer, Summary, check_noise, check_unfinished, refuse_export,
};
use crate::settings::{Given, Keys, MethodKind, Settings};
use crate::threads::with_threads;
use crate::train::{Prepared, TrainJob};
use crate::watch::Watch;
use crate::words::{as_text, count};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use zograd_select::{Method, Methods};
use zograd_tasks::Task;
use zograd_trainer::Schedule;

/// What a program can run: the methods and tasks it knows, and the flag that asks it to stop.
///
/// The crate's documentation has an example.
#[derive(Clone)]
pub struct Runs {
    methods: Methods,
    tasks: Vec<Arc<dyn Task>>,
    stop: Arc<AtomicBool>,
}

impl Default for Runs {
    fn default() -> Self {
        Self::new()
    }
}

impl Runs {
    /// With everything that is built in.
    pub fn new() -> Self {
        Self {
            methods: Methods::built_in(),
            tasks: Vec::new(),
            stop: Arc::default(),
        }
    }

    /// With one more method: settings choose it by its name, and it gets log, resume and replay like a built-in one.
    ///
    /// # Panics
    /// It has the name of a baseline, or a setting by the key of another: settings could not tell them apart.
    #[must_use]
    pub fn with_method(mut self, method: Method) -> Self {
        let name = method.name;
        assert!(
            MethodKind::of(name) == MethodKind::ZerothOrder,
            "{name} is a baseline"
        );
        let keys = self.keys();
        for key in keys.iter().filter(|key| key.of_some_methods().is_none()) {
            let own = method.settings.iter().find(|s| s.key == key.setting.key);
            if let Some(own) = own {
                let (key, owner) = (own.key, key.owners.join(", "));
                panic!("`{key}` of the method {name} is also a setting of {owner}");
            }
        }
        self.methods = self.methods.with(method);
        self
    }

    /// With one more task, which settings choose by its name.
    #[must_use]
    pub fn with_task(mut self, task: Arc<dyn Task>) -> Self {
        self.tasks.push(task);
        self
    }

    /// Runs finish their step and save when this flag is raised.
    #[must_use]
    pub fn stopped_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.stop = flag;
        self
    }

    /// The methods that settings choose from.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    pub(crate) fn tasks(&self) -> &[Arc<dyn Task>] {
        &self.tasks
    }

    /// All settings that a run has.
    pub fn keys(&self) -> Keys {
        Settings::keys(&self.methods)
    }

    /// These settings with all defaults filled in, if they are possible, as far as can be told without reading anything.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self, given: Given) -> Result<Settings> {
        Settings::resolve(given, &self.methods)
    }

    /// Fine-tunes with these settings to the end, or until asked to stop, and leaves a run folder.
    ///
    /// # Errors
    /// Wrong input, or something that failed while running; [`RunError::Stopped`](crate::RunError::Stopped) if it was
    /// asked to stop before its first step.
    pub fn train(&self, given: Given, watch: &mut dyn Watch) -> Result<Summary> {
        let settings = self.check(given)?;
        self.run(settings, None, watch)
    }

    /// Resumes the run in this folder, to the end or until asked to stop. It ends in the same bits as one that was
    /// never interrupted. `more` may hold `threads`, and `model`, `tokenizer` and `data` if they have moved: that they
    /// are the same is made sure of. With a larger number of `steps` a run goes on behind its end, and ends in the same
    /// bits as one that was asked for so many from the start.
    ///
    /// # Errors
    /// A folder without a run that can be resumed, one that another process works on, or one that was made of something
    /// else; a run that is to be longer and whose learning rate falls to 0 at its end; something that failed while
    /// running; [`RunError::Stopped`](crate::RunError::Stopped) if it was asked to stop before its next step.
    pub fn resume(&self, run: &Path, more: Given, watch: &mut dyn Watch) -> Result<Summary> {
        if let Err(key) = more.only(&["threads", "steps", "model", "tokenizer", "data"]) {
            refuse!(
                "`resume`: a run is resumed with the settings it had ({}); only `threads` goes with it, a larger number \
                 of `steps`, and `model`, `tokenizer` and `data` where they have moved; not `{key}`",
                run.join(CONFIG).display()
            );
        }
        let (settings, interrupted, lock) = self.reopen(run, more)?;
        self.run(settings, Some((interrupted, lock)), watch)
    }

    /// The settings of an interrupted run, what it has done, and its folder for this process alone.
    fn reopen(&self, run: &Path, more: Given) -> Result<(Settings, Interrupted, Lock)> {
        let config = run.join(CONFIG);
        let replay = "resume the run itself, or replay the log for its weights";
        refuse_export(run, replay).about(format!("`resume = {}`", run.display()))?;
        let given = Given::read(&config, &self.keys())
            .map_err(|error| error.within("`resume`: this folder holds no run"))?;
        let longer = match more.get("steps") {
            Some(steps) => Some(self.longer(&given, steps.as_integer().unwrap_or(0))?),
            None => None,
        };
        // of the model's own tokenizer nothing was written down, so that it moves with the model
        let given = more.or(given).with("out", as_text(run)?);
        let settings = self.check(given).about("`resume`")?;
        if MethodKind::of(&settings.method) != MethodKind::ZerothOrder {
            check_unfinished(run, false)?;
            refuse!(
                "`resume = {}`: a run of {} keeps no log and cannot be resumed; start it again with `config = {}`",
                run.display(),
                settings.method,
                config.display()
            );
        }
        check_unfinished(run, longer.is_some())?;
        // before anything is read that another process may be writing
        let lock = Lock::take(run).about("`resume`")?;
        let interrupted = Interrupted::read(run, settings.sizes.dev != 0, longer)?;
        check_noise(interrupted.header()).about("`resume`")?;
        Ok((settings, interrupted, lock))
    }

    /// What makes the run with these settings longer.
    fn longer(&self, given: &Given, steps: i64) -> Result<Longer> {
        let settings = self.check(given.clone()).about("`resume`")?;
        let (config, asked) = (settings.config, u64::try_from(steps).unwrap_or(0));
        if asked <= config.steps {
            refuse!(
                "`steps = {steps}`: the run has {} already; give a larger number, or resume it without",
                count(config.steps, "step")
            );
        }
        let schedule = match config.schedule {
            Schedule::Constant => None,
            Schedule::Linear => Some("linear"),
            _ => Some("cosine"),
        };
        if let Some(schedule) = schedule {
            refuse!(
                "`schedule = {schedule}`: its learning rate falls to 0 at the end, so that a run of more steps is another \
                 one from its first step on; begin a new one with `config` and `steps = {steps}`"
            );
        }
        let longer = given.clone().with("steps", steps);
        Ok(Longer {
            steps: asked,
            config: longer.in_order(&self.keys()),
        })
    }

    fn run(
        &self,
        settings: Settings,
        resumed: Option<(Interrupted, Lock)>,
        watch: &mut dyn Watch,
    ) -> Result<Summary> {
        with_threads(settings.machine.threads, || {
            let (prepared, destination) = Prepared::new(settings, self.tasks(), resumed, watch)?;
            let backend = prepared.backend();
            let job = TrainJob {
                prepared,
                destination,
                methods: &self.methods,
                stop: &self.stop,
                watch,
            };
            dispatch(backend, job)
        })
    }
}
