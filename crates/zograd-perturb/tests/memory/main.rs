//! What passes and probes need of memory: a program of its own, since it counts the allocations of its process.

use burn::module::Param;
use burn::tensor::Tensor;
use burn_ndarray::NdArray;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use zograd_perturb::family::{BlockOrder, FamilySpec, MaskRule, PerturbationSpec};
use zograd_perturb::{
    AppliedUpdate, Direction, Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection,
};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 3000;
const COLUMNS: usize = 2000;

/// A step in place, with each family: beside the weights, 24 MB, there are the factors and the blocks of noise of every
/// thread, and no tensor of noise. What stays between steps are the factors in use, or a bit a weight.
#[test]
fn a_pass_of_any_family_needs_no_memory_of_the_weights_size() {
    type B = NdArray<f32>;
    let weights = 4 * ROWS * COLUMNS;
    let families = [
        (FamilySpec::Dense, 0),
        (
            FamilySpec::Subzero {
                rank: 16,
                refresh: 2,
            },
            16 * (ROWS + COLUMNS),
        ),
        (
            FamilySpec::Lozo {
                rank: 4,
                refresh: 2,
            },
            4 * COLUMNS,
        ),
        (
            FamilySpec::Blocks {
                order: BlockOrder::InTurn,
            },
            0,
        ),
        (
            FamilySpec::Sparse {
                mask: MaskRule::Random,
                density: 0.2,
                hash: None,
            },
            ROWS * COLUMNS / 32,
        ),
    ];
    for (family, numbers_kept) in families {
        let matrix = Tensor::<B, 2>::ones([ROWS, COLUMNS], &Default::default());
        let matrix = Param::from_tensor(matrix);
        let space = ParameterSpace::select(&matrix, &Selection::All).expect("a parameter");
        let before = LIVE.load(Relaxed);
        let mut spec = PerturbationSpec::new(family);
        let noise = spec
            .perturbation(NoiseKind::Gaussian, &matrix, &space, Seed::new(1))
            .expect("in their range");
        let grids = Grids::of_noise(&matrix, &space, &noise, 1e-3, 1e-3).expect("finite");
        let mut model = Perturbed::on_grids(matrix, space, noise, 1e-3, grids).expect("f32");
        let step = |model: &mut Perturbed<B, _>, step: u64| {
            let z = Direction::unit(Seed::new(step));
            model.begin(step).expect("at rest");
            model.move_to(&z).expect("a pass");
            model.move_to(&-&z).expect("a pass");
            let update = AppliedUpdate::new(z, 1e-3).with_decay(0.0, step);
            model.update(&update).expect("a pass");
        };
        // threads and their buffers
        step(&mut model, 0);
        let kept = LIVE.load(Relaxed).saturating_sub(before);
        PEAK.store(LIVE.load(Relaxed), Relaxed);
        let begin = LIVE.load(Relaxed);
        // in a time of its own: a subspace is drawn anew
        step(&mut model, 2);
        let peak = PEAK.load(Relaxed) - begin;
        assert!(peak < weights / 8, "{spec:?}: {peak} bytes during a step");
        // and what is kept is what was said, with a margin for names and maps
        assert!(
            kept <= 4 * numbers_kept + (200 << 10),
            "{spec:?}: {kept} bytes between steps"
        );
    }
}
