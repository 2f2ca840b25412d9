use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, TensorData};
use zograd_models::{Left, LowRank};
use zograd_perturb::NoiseBackend;

/// A probe of the weights, as a model asks for it.
#[derive(Clone, Copy)]
pub struct ModelProbe<'a>(&'a zograd_perturb::Probe<'a>);

impl<'a> ModelProbe<'a> {
    /// This one.
    pub fn of(probe: &'a zograd_perturb::Probe<'a>) -> Self {
        Self(probe)
    }
}

impl<B: NoiseBackend> zograd_models::Probe<B> for ModelProbe<'_> {
    fn points(&self) -> usize {
        self.0.points()
    }

    fn moves<M: Module<B>>(&self, part: &M) -> bool {
        self.0.moves(part)
    }

    fn moved<M: Module<B>>(&self, part: &M) -> Vec<M> {
        self.0.moved(part)
    }

    fn added(
        probes: &[&Self],
        matrix: &Param<Tensor<B, 2>>,
        rows: Option<&[u32]>,
    ) -> Option<LowRank<B>> {
        let probes: Vec<_> = probes.iter().map(|probe| probe.0).collect();
        let factors = zograd_perturb::Probe::factors(&probes, matrix, rows)?;
        let (device, rank) = (matrix.val().device(), factors.rank);
        let tensor = |values: Vec<f32>, shape| -> Tensor<B, 2> {
            Tensor::from_data(TensorData::new(values, shape), (&device, DType::F32))
        };
        let below = |values: Vec<f32>| {
            let rows = values.len() / rank;
            tensor(values, [rows, rank])
        };
        let shared = factors.left.map(below);
        let own = factors.each.into_iter().map(below);
        let points = own.map(|own| match &shared {
            Some(left) => Left {
                left: left.clone(),
                middle: Some(own),
            },
            None => Left {
                left: own,
                middle: None,
            },
        });
        let columns = factors.right.len() / rank;
        Some(LowRank::new(
            tensor(factors.right, [rank, columns]),
            points.collect(),
        ))
    }

    fn makes_rows(&self) -> bool {
        self.0.makes_rows::<B>()
    }

    fn rows(&self, table: &Param<Tensor<B, 2>>, rows: &[u32]) -> Vec<Tensor<B, 2>> {
        self.0.rows(table, rows)
    }
}
