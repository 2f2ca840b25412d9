//! What a program can run.

use crate::backend::dispatch;
use crate::error::{Blame, Result, refuse};
use crate::folder::{
    CHAT_TEMPLATE, CONFIG, Interrupted, LOG, Lock, Longer, Summary, check_noise, check_unfinished,
    refuse_export,
};
use crate::ranks::{agreed, ended};
use crate::settings::{Given, Keys, MethodKind, Procedure, Settings};
use crate::threads::with_threads;
use crate::train::{FollowJob, Handed, Prepared, TrainJob};
use crate::watch::Watch;
use crate::words::{as_text, count};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use zograd_ranks::Ranks;
use zograd_select::{Method, Methods};
use zograd_tasks::Task;
use zograd_trainer::{Schedule, peak_memory_begins};

/// What a program can run: the methods and tasks it knows, and the flag that asks it to stop.
///
/// The crate's documentation has an example.
#[derive(Clone)]
pub struct Runs {
    methods: Methods,
    tasks: Vec<Arc<dyn Task>>,
    stop: Arc<AtomicBool>,
    ranks: Ranks,
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
            ranks: Ranks::alone(),
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

    /// Shares the evaluations of zeroth-order runs, and of measurements, the rows of predictions, and the runs of sweeps and
    /// comparisons among ranks, each of which does the same calls in the same order. The first of them writes the folder and
    /// tells the watch; the others return the same summary. (A run of a sweep is written by the rank that makes it.) When
    /// one of them is asked to stop all do.
    #[must_use]
    pub fn on_ranks(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }

    /// Those that share the work, with the flag that stops this one.
    pub(crate) fn ranks(&self) -> Ranks {
        self.ranks.clone().stopped_by(self.stop.clone())
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

    /// These settings with all defaults filled in, if they are possible, as far as can be told without reading anything. Where
    /// no method is named, a run whose rows turn out to have classes has the settings of `start/any/recipe` instead.
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
        let ranks = self.ranks();
        let settings = self.check(given);
        let run = settings.and_then(|settings| match ranks.leads() {
            true => self.lead(settings, None, &ranks, watch),
            false => self.follow(settings, None, &ranks, watch),
        });
        ended(&ranks, run)
    }

    /// Resumes the run in this folder, to the end or until asked to stop. It ends in the same bits as one that was
    /// never interrupted. `more` may hold `threads` and `device`, and `model`, `tokenizer`, `task` and `data` if they have
    /// moved: that they are the same is made sure of. With a larger number of `steps` a run goes on behind its end, and
    /// ends in the same bits as one that was asked for so many from the start.
    ///
    /// # Errors
    /// A folder without a run that can be resumed, one that another process works on, or one that was made of something
    /// else; a run that is to be longer and whose learning rate falls to 0 at its end; something that failed while
    /// running; [`RunError::Stopped`](crate::RunError::Stopped) if it was asked to stop before its next step.
    pub fn resume(&self, run: &Path, more: Given, watch: &mut dyn Watch) -> Result<Summary> {
        if let Err(key) = more.only(&[
            "threads",
            "device",
            "steps",
            "model",
            "tokenizer",
            "task",
            "data",
        ]) {
            refuse!(
                "`resume`: a run is resumed with the settings it had ({}); only `threads` and `device` go with it, a larger \
                 number of `steps`, and `model`, `tokenizer`, `task` and `data` where they have moved; not `{key}`",
                run.join(CONFIG).display()
            );
        }
        let ranks = self.ranks();
        let resumed = match ranks.leads() {
            true => self.lead_again(run, more, &ranks, watch),
            false => self.follow_again(run, more, &ranks, watch),
        };
        ended(&ranks, resumed)
    }

    /// Resumes a run whose folder is here.
    fn lead_again(
        &self,
        run: &Path,
        more: Given,
        ranks: &Ranks,
        watch: &mut dyn Watch,
    ) -> Result<Summary> {
        let (settings, interrupted, lock) = agreed(ranks, self.reopen(run, more))?;
        if !ranks.is_alone() {
            // threads and folders are each rank's own
            let given = settings.given()?.without("threads").without("out");
            let begun = Given::read(&run.join(CONFIG), &self.keys())?;
            let given = given.with_some("chat-template", begun.get("chat-template").cloned());
            Handed::over(ranks, given.in_order(&self.keys()), &interrupted)?;
        }
        self.lead(settings, Some((interrupted, lock)), ranks, watch)
    }

    /// Resumes a run whose folder the first rank has.
    fn follow_again(
        &self,
        run: &Path,
        more: Given,
        ranks: &Ranks,
        watch: &mut dyn Watch,
    ) -> Result<Summary> {
        agreed(ranks, Ok(()))?;
        let handed = Handed::taken(ranks)?;
        let given = Given::parse(&handed.config, &self.keys())?;
        let given = given
            .with_some("threads", more.get("threads").cloned())
            .with_some("device", more.get("device").cloned());
        let given = with_kept_template(given, run)?;
        self.follow(self.check(given)?, Some((handed, run)), ranks, watch)
    }

    /// The settings of an interrupted run, what it has done, and its folder for this process alone.
    fn reopen(&self, run: &Path, more: Given) -> Result<(Settings, Interrupted, Lock)> {
        let config = run.join(CONFIG);
        let replay = "resume the run itself, or replay the log for its weights";
        refuse_export(run, replay).about(format!("`resume = {}`", run.display()))?;
        let unusable = match zograd_files::exists(&config) {
            true => "`resume`: the run's settings cannot be read",
            false => "`resume`: this folder holds no run",
        };
        let given = Given::read(&config, &self.keys()).map_err(|error| error.within(unusable))?;
        let longer = match more.get("steps") {
            Some(steps) => Some(self.longer(&given, steps.as_integer().unwrap_or(0))?),
            None => None,
        };
        let given = with_kept_template(given, run)?;
        // of the model's own tokenizer nothing was written down, so that it moves with the model
        let given = more.or(given).with("out", as_text(run)?);
        let settings = self.check(given).about("`resume`")?;
        if !MethodKind::of(&settings.method).has_log() {
            check_unfinished(run, false)?;
            refuse!(
                "`resume = {}`: a run of {} keeps no log and cannot be resumed; start it again with `config = {}`",
                run.display(),
                settings.method,
                config.display()
            );
        }
        check_unfinished(run, longer.is_some())?;
        if !zograd_files::exists(&run.join(LOG)) {
            refuse!(
                "`resume = {}`: there is no {LOG}: the run was ended before its first step, or the log was removed; begin it \
                 again with `config = {}`",
                run.display(),
                config.display()
            );
        }
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
        if config.limit.is_some() {
            refuse!(
                "`steps = {steps}`: the run ends by its `tokens` or `seconds`, not by a number of steps; leave `steps` out if it \
                 was interrupted; if they are spent, begin another run with more of them and `config`"
            );
        }
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

    /// A run that this process writes down, alone or with others.
    fn lead(
        &self,
        settings: Settings,
        resumed: Option<(Interrupted, Lock)>,
        ranks: &Ranks,
        watch: &mut dyn Watch,
    ) -> Result<Summary> {
        check_shared(&settings, ranks)?;
        peak_memory_begins();
        with_threads(settings.machine.threads, || {
            // first here, then elsewhere: what has to be fetched is fetched once
            let prepared = Prepared::new(
                settings,
                (self.tasks(), &self.methods),
                resumed,
                ranks,
                watch,
            );
            let (prepared, destination) = agreed(ranks, prepared)?;
            agreed(ranks, Ok(()))?;
            let machine = prepared.machine().clone();
            let job = TrainJob {
                prepared,
                destination,
                methods: &self.methods,
                ranks,
                watch,
            };
            dispatch(&machine, job)
        })
    }

    /// A run that the first rank writes down.
    fn follow(
        &self,
        mut settings: Settings,
        resumed: Option<(Handed, &Path)>,
        ranks: &Ranks,
        watch: &mut dyn Watch,
    ) -> Result<Summary> {
        check_shared(&settings, ranks)?;
        settings.out = None;
        peak_memory_begins();
        with_threads(settings.machine.threads, || {
            agreed(ranks, Ok(()))?;
            let prepared =
                Prepared::new(settings, (self.tasks(), &self.methods), None, ranks, watch);
            let (prepared, _) = agreed(ranks, prepared)?;
            let machine = prepared.machine().clone();
            let job = FollowJob {
                prepared,
                resumed,
                methods: &self.methods,
                ranks,
                watch,
            };
            dispatch(&machine, job)
        })
    }
}

/// With the copy of the chat template in the folder of a run, where the run has one: the file it was copied from may be
/// another one by now.
fn with_kept_template(given: Given, run: &Path) -> Result<Given> {
    let template = run.join(CHAT_TEMPLATE);
    match zograd_files::exists(&template) {
        true => Ok(given.with("chat-template", as_text(&template)?)),
        false => Ok(given),
    }
}

/// Refuses to share what is not made of evaluations alone.
fn check_shared(settings: &Settings, ranks: &Ranks) -> Result<()> {
    let shared = matches!(settings.procedure, Procedure::ZerothOrder(_));
    if !shared && !ranks.is_alone() {
        refuse!(
            "`method = {}`: only the evaluations of zeroth-order methods are shared among ranks; start one process",
            settings.method
        );
    }
    if settings.procedure.is_informed() && !ranks.is_alone() {
        refuse!(
            "`informed`: what informs a candidate is not shared among ranks; start one process"
        );
    }
    if settings.procedure.is_per_example() && !ranks.is_alone() {
        refuse!(
            "`method = {}`: examples with directions of their own are not shared among ranks; start one process",
            settings.method
        );
    }
    Ok(())
}
