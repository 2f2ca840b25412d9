//! A family of perturbations of one's own: the same noise for a whole row of a matrix.
//!
//! ```sh
//! cargo run --release -p zograd-perturb --example own_family
//! ```

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_ndarray::NdArray;
use zograd_perturb::family::{Part, Values};
use zograd_perturb::{
    AppliedUpdate, Direction, Family, NoiseKind, ParameterSpace, ParameterSpec, PerturbError,
    Perturbation, Perturbed, Seed, Selection, noise,
};

/// One number a row: a matrix moves along the vector of ones, each row by its own amount. Vectors move densely.
#[derive(Debug)]
struct Rows;

impl Family for Rows {
    fn part(&self, parameter: &ParameterSpec, _step: u64, seed: Seed) -> Part {
        let [rows, columns] = parameter.shape[..] else {
            return Part::Dense;
        };
        let mut of_rows = vec![0.0; rows];
        noise::fill(seed, parameter.id, NoiseKind::Gaussian, 0, &mut of_rows);
        Part::made(Repeated { of_rows, columns })
    }
}

/// A number of each row, as often as it has columns.
#[derive(Debug)]
struct Repeated {
    of_rows: Vec<f32>,
    columns: usize,
}

impl Values for Repeated {
    fn fill(&self, start: usize, out: &mut [f32]) {
        for (i, value) in (start..).zip(out) {
            *value = self.of_rows[i / self.columns];
        }
    }
}

fn main() -> Result<(), PerturbError> {
    let matrix = Tensor::<NdArray, 2>::zeros([3, 4], &Default::default());
    let matrix = Param::from_tensor(matrix);
    let space = ParameterSpace::select(&matrix, &Selection::All)?;
    let rows = Perturbation::new(NoiseKind::Gaussian, Rows);
    let mut model = Perturbed::new(matrix, space, rows, 1e-3)?;

    // f = the sum of all squares of (w - 1), by MeZO
    let loss = |w: &Param<Tensor<NdArray, 2>>| {
        f64::from((w.val() - 1.0).powi_scalar(2).sum().into_scalar())
    };
    for step in 0..200 {
        model.begin(step)?;
        let z = Direction::unit(Seed::new(step));
        model.move_to(&z)?;
        let plus = loss(model.module());
        model.move_to(&-&z)?;
        let slope = (plus - loss(model.module())) / (2.0 * model.eps());
        model.update(&AppliedUpdate::new(z * slope, 0.02).with_decay(0.0, step))?;
    }
    let found = model.into_module()?;
    let weights = found.val().into_data();
    let rows: Vec<&[f32]> = weights
        .as_slice()
        .map(|w| w.chunks(4).collect())
        .unwrap_or_default();
    for row in &rows {
        println!("{row:?}");
        assert!((row[0] - 1.0).abs() < 0.01, "at the minimum");
        // all rounded alike
        assert!(row.iter().all(|w| *w == row[0]), "one number a row");
    }
    assert_eq!((rows.len(), found.num_params()), (3, 12));
    Ok(())
}
