use super::{InStack, reward};
use crate::measure::{Measured, Questions};
use crate::{LanguageModel, Loss, Objective, Scored, TrainError, Writer};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use zograd_ranks::{Incoming, Outgoing, RankError};
use zograd_tasks::Prompt;

/// The examples of a batch that this rank looks at, and what it saw of them.
///
/// A loss may be any function of the scores of a whole batch. So the ranks that share a candidate send each other the
/// scores of their examples, and each makes the loss of all of them, by the same sums as one process.
pub(crate) struct Portion<'a, 'p> {
    batch: &'a [&'p Prompt],
    objective: &'a dyn Objective,
    examples: RefCell<Range<usize>>,
    /// Whether other ranks look at the rest.
    shared: Cell<bool>,
    /// Whether others have looked before in this step, so that what is run once for all was counted.
    counted: Cell<bool>,
    /// What is kept, where it is not the whole batch that is looked at, or where losses are made of several together.
    seen: RefCell<Option<Vec<Measured<'p>>>>,
    /// The biases of the step, once they are fitted, where its losses are made with such.
    biases: RefCell<Option<Vec<f64>>>,
}

impl<'a, 'p> Portion<'a, 'p> {
    /// All of the batch.
    pub(crate) fn whole(batch: &'a [&'p Prompt], objective: &'a dyn Objective) -> Self {
        Self {
            batch,
            objective,
            examples: RefCell::new(0..batch.len()),
            shared: Cell::new(false),
            counted: Cell::new(false),
            seen: RefCell::new(None),
            biases: RefCell::new(None),
        }
    }

    /// Whether losses are made of several probes together.
    pub(super) fn is_joint(&self) -> bool {
        self.objective.is_calibrated()
    }

    /// From now on keeps what it sees.
    pub(super) fn keep(&self) {
        self.seen.replace(Some(Vec::new()));
    }

    /// What was kept since.
    pub(super) fn kept(&self) -> Vec<Measured<'p>> {
        self.seen.borrow_mut().take().unwrap_or_default()
    }

    /// How many examples the batch has.
    pub(super) fn batch_size(&self) -> usize {
        self.batch.len()
    }

    /// From now on looks at the whole batch; `counted` if others have looked before.
    pub(super) fn look_at_all(&self, counted: bool) {
        self.shared.set(true);
        self.examples.replace(0..self.batch.len());
        self.counted.set(counted);
        self.seen.replace(None);
    }

    /// From now on looks at some of the examples, and keeps what it sees.
    pub(super) fn look_at(&self, examples: Range<usize>, counted: bool) {
        self.shared.set(true);
        self.examples.replace(examples);
        self.counted.set(counted);
        self.seen.replace(Some(Vec::new()));
    }

    /// Which examples are looked at.
    pub(crate) fn examples(&self) -> Range<usize> {
        self.examples.borrow().clone()
    }

    /// Whether others have looked before.
    pub(crate) fn is_counted(&self) -> bool {
        self.counted.get()
    }

    /// What has to be known of them for the loss of the batch.
    pub(crate) fn questions(&self) -> Result<Questions<'a, 'p>, TrainError> {
        Questions::of_loss_of_some(self.batch, self.examples(), self.objective)
    }

    /// Has models answer that are some of a stack, in the bits of the whole stack and the whole batch: several models that
    /// are scored in one batch have normalised scores, and one alone has them where they do not cancel.
    pub(crate) fn asked_of_each<M: LanguageModel>(
        &self,
        models: &[M],
        stack: InStack,
        writer: Option<&Writer>,
    ) -> Result<Vec<Loss>, TrainError> {
        let ask = |questions: Questions<'a, 'p>, models: &[M]| {
            let found = questions.asked_of_each(models, self.objective, writer)?;
            Ok::<_, TrainError>(found.into_iter().map(|found| self.loss(found)))
        };
        if !self.shared.get() {
            return Ok(ask(self.questions()?, models)?.collect());
        }
        let whole = Questions::of_loss(self.batch, self.objective)?;
        let Some(plan) = whole.plan() else {
            return Ok(ask(self.questions()?, models)?.collect());
        };
        let together = M::scored_together(plan);
        let left_over = stack.of % together == 1 && stack.first + models.len() == stack.of;
        let alone = match together {
            1 => models.len(),
            _ => usize::from(left_over),
        };
        let (several, alone) = models.split_at(models.len() - alone);
        let mut losses = Vec::with_capacity(models.len());
        if !several.is_empty() {
            let questions = Questions::new(&self.batch[self.examples()], self.objective)?;
            losses.extend(ask(questions, several)?);
        }
        for model in alone {
            losses.extend(ask(self.questions()?, std::slice::from_ref(model))?);
        }
        Ok(losses)
    }

    /// The loss of the batch; where not all of it was looked at, what was seen is kept, and the loss is still to be made.
    pub(crate) fn loss(&self, measured: Measured<'p>) -> Loss {
        match &mut *self.seen.borrow_mut() {
            None => measured.loss(self.objective),
            Some(seen) => {
                seen.push(measured);
                Loss::new(f64::NAN)
            }
        }
    }

    /// What was kept, as it is sent: for every candidate what came of its examples.
    pub(super) fn send(&self, to: &mut Outgoing) {
        for measured in self.kept() {
            to.number(measured.tokens as u64);
            for example in &measured.examples {
                to.number(example.candidates.len() as u64);
                for (candidate, scores) in &example.candidates {
                    to.number(*candidate as u64);
                    to.reals32(scores);
                }
                to.text(example.answer.as_deref());
                reward::send(example.reward, to);
            }
        }
    }

    /// What a rank kept of these examples with one candidate, taken up into `whole`.
    pub(super) fn receive(
        &self,
        from: &mut Incoming<'_>,
        examples: Range<usize>,
        whole: &mut Measured<'p>,
    ) -> Result<(), RankError> {
        if examples.is_empty() {
            return Ok(());
        }
        whole.tokens += from.number("tokens")? as usize;
        for prompt in &self.batch[examples] {
            let count = from.count(16, "candidates")?;
            let mut candidates = Vec::with_capacity(count);
            for _ in 0..count {
                let candidate = from.number("a candidate")? as usize;
                candidates.push((candidate, from.reals32("scores")?));
            }
            whole.examples.push(Scored {
                prompt,
                candidates,
                answer: from.text("an answer")?,
                reward: reward::receive(from)?,
            });
        }
        Ok(())
    }

    /// Nothing of the batch yet.
    pub(super) fn nothing(&self) -> Measured<'p> {
        Measured {
            examples: Vec::with_capacity(self.batch.len()),
            tokens: 0,
        }
    }

    /// The losses of probes that were asked for together, of which the whole batch was seen.
    pub(super) fn losses_of(&self, probes: &[Measured<'p>]) -> Vec<Loss> {
        let mut biases = self.biases.borrow_mut();
        if self.is_joint() && biases.is_none() {
            let seen: Vec<&[Scored<'_>]> = probes.iter().map(|m| &*m.examples).collect();
            *biases = self.objective.biases(&seen);
        }
        let loss = |measured: &Measured<'p>| match &*biases {
            None => measured.loss(self.objective),
            Some(biases) => measured.loss_with(self.objective, biases),
        };
        probes.iter().map(loss).collect()
    }
}
