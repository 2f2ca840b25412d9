//! Probes out of place: the weights stand still, and parts are where walking would have put them.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use burn_ndarray::{NdArray, NdArrayTensor};
use zograd_perturb::{
    AppliedUpdate, Direction, Grids, NoiseBackend, NoiseKind, ParameterSpace, PerturbError,
    Perturbed, Probe, Rooms, Seed, Selection,
};

/// A table whose rows end anywhere in a block of noise, and a vector.
#[derive(Module, Debug)]
struct Net<B: Backend> {
    table: Param<Tensor<B, 2>>,
    bias: Param<Tensor<B, 1>>,
}

const ROWS: usize = 1100;
const WIDTH: usize = 37;
const EPS: f64 = 1e-2;

fn values(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| (i * 31 % 1013) as f32 / 2048.0 - 0.2)
        .collect()
}

impl<B: Backend> Net<B> {
    fn new(dtype: DType) -> Self {
        let device = B::Device::default();
        let data =
            |n: usize, shape: &[usize]| TensorData::new(values(n), shape).convert_dtype(dtype);
        let table = data(ROWS * WIDTH, &[ROWS, WIDTH]);
        let bias = data(WIDTH, &[WIDTH]);
        Self {
            table: Param::from_tensor(Tensor::from_data(table, (&device, dtype))),
            bias: Param::from_tensor(Tensor::from_data(bias, (&device, dtype))),
        }
    }

    fn bits(&self) -> Vec<Vec<u8>> {
        [self.table.val().into_data(), self.bias.val().into_data()]
            .map(|data| data.as_bytes().to_vec())
            .to_vec()
    }
}

fn model<B: NoiseBackend>(
    dtype: DType,
    kind: NoiseKind,
    exact: bool,
    moving: &Selection,
) -> Perturbed<B, Net<B>> {
    let net = Net::<B>::new(dtype);
    let space = ParameterSpace::select(&net, moving).expect("parameters");
    if !exact {
        return Perturbed::new(net, space, kind, EPS).expect("its own space");
    }
    let grids = Grids::of(&net, &space, EPS, 1e-2).expect("f32");
    Perturbed::on_grids(net, space, kind, EPS, grids).expect("its own space")
}

fn z(k: u64) -> Direction {
    Direction::unit(Seed::new(k))
}

/// One alone, one with its opposite, none, and one that comes back to the first.
fn directions() -> Vec<Direction> {
    let v = z(2) * 0.5 - z(3) * 1.5 + z(4);
    vec![z(1), v.clone(), -v, Direction::zero(), z(4), -z(4), z(1)]
}

/// All points of the probes, end to end.
fn points<M>(probes: &[Probe<'_>], of: impl Fn(&Probe<'_>) -> Vec<M>) -> Vec<M> {
    probes.iter().flat_map(of).collect()
}

fn are_where_a_hop_ends<B: NoiseBackend>(dtypes: &[DType]) {
    let everything = Selection::All;
    let table = Selection::matching(["table"]);
    for dtype in dtypes {
        for (kind, moving) in [
            (NoiseKind::Gaussian, &everything),
            (NoiseKind::Rademacher, &everything),
            (NoiseKind::Gaussian, &table),
        ] {
            for exact in [false, true] {
                if exact && *dtype != DType::F32 {
                    continue;
                }
                let mut standing = model::<B>(*dtype, kind, exact, moving);
                let before = standing.module().bits();
                let found = standing.at_probes(&directions(), |net, probes| {
                    points(probes, |probe| probe.moved(net))
                });
                let found: Vec<_> = found.expect("finite").iter().map(Net::bits).collect();
                let expected: Vec<_> = directions()
                    .iter()
                    .map(|direction| {
                        let mut walking = model::<B>(*dtype, kind, exact, moving);
                        walking.move_to(direction).expect("a pass");
                        walking.module().bits()
                    })
                    .collect();
                assert_eq!(found.len(), expected.len());
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert!(
                        found == expected,
                        "{dtype:?} {kind} exact: {exact}, point {index}"
                    );
                }
                assert_eq!(standing.module().bits(), before);
            }
        }
    }
}

#[test]
fn parts_are_where_a_hop_ends() {
    are_where_a_hop_ends::<NdArray<f32>>(&[DType::F32]);
    are_where_a_hop_ends::<NdArray<f64>>(&[DType::F64]);
    are_where_a_hop_ends::<Flex>(&[DType::F32, DType::F16, DType::BF16, DType::F64]);
}

fn rows_are_those_of_the_table<B: NoiseBackend>(dtype: DType) {
    let asked: [u32; 9] = [0, 1, 2, 13, 700, 701, 1099, 13, 5];
    for moving in [Selection::All, Selection::matching(["bias"])] {
        let mut model = model::<B>(dtype, NoiseKind::Gaussian, false, &moving);
        let moves = moving.includes("table");
        let looked = model.at_probes(&directions(), |net, probes| {
            assert_eq!(probes[0].moves(&net.table), moves);
            // a probe of the zero direction moves nothing
            assert!(!probes[2].moves(net));
            let rows = points(probes, |probe| probe.rows(&net.table, &asked));
            (rows, points(probes, |probe| probe.moved(&net.table)))
        });
        let (rows, tables) = looked.expect("finite");
        assert_eq!(rows.len(), tables.len());
        for (rows, table) in rows.into_iter().zip(tables) {
            let ids: Vec<i32> = asked.iter().map(|row| *row as i32).collect();
            let ids = Tensor::from_ints(&ids[..], &B::Device::default());
            let expected = table.val().select(0, ids);
            assert_eq!(rows.into_data(), expected.into_data());
        }
    }
}

#[test]
fn rows_of_a_table_are_those_of_the_whole() {
    rows_are_those_of_the_table::<NdArray<f32>>(DType::F32);
    rows_are_those_of_the_table::<Flex>(DType::BF16);
}

/// What the default of the trait does, which backends of other crates have.
#[test]
fn the_default_moves_copies_to_the_same_bits() {
    use burn::tensor::ops::FloatTensor;
    use zograd_perturb::{NoisePass, Sides, TensorId};

    fn by_default<B: NoiseBackend>(
        tensor: &FloatTensor<B>,
        rows: Option<&[u32]>,
        pass: &NoisePass<'_>,
    ) -> Vec<FloatTensor<B>> {
        let opposite: Vec<_> = pass.terms.iter().map(|(seed, c)| (*seed, -c)).collect();
        let opposite = NoisePass::new(pass.tensor, pass.kind, &opposite);
        [pass, &opposite]
            .map(|pass| {
                let moved = B::add_noise(tensor.clone(), pass);
                match rows {
                    None => moved,
                    Some(rows) => {
                        let ids: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
                        let ids = Tensor::<B, 1, burn::tensor::Int>::from_ints(
                            &ids[..],
                            &B::Device::default(),
                        );
                        B::float_select(moved, 0, ids.into_primitive())
                    }
                }
            })
            .to_vec()
    }
    type B = NdArray<f32>;
    let net = Net::<B>::new(DType::F32);
    // a view that does not lie in order
    let table = net.table.val().transpose().into_primitive().tensor();
    let terms = [(Seed::new(1), 0.5), (Seed::new(2), -0.25)];
    let pass = NoisePass::new(TensorId::of("table"), NoiseKind::Gaussian, &terms);
    for rows in [None, Some(&[3u32, 4, 30][..])] {
        let found = B::moved(&table, rows, &pass, Sides::Both, &mut Rooms::default());
        let expected = by_default::<B>(&table, rows, &pass);
        let bits = |tensors: Vec<FloatTensor<B>>| -> Vec<TensorData> {
            let tensor =
                |t| Tensor::<B, 2>::from_primitive(burn::tensor::TensorPrimitive::Float(t));
            tensors.into_iter().map(|t| tensor(t).into_data()).collect()
        };
        assert_eq!(bits(found), bits(expected));
    }
}

/// What was made and dropped is what the next is made in, to the bits of fresh memory; and what is still held is not.
#[test]
fn what_was_dropped_is_room_for_the_next() {
    use burn::tensor::ops::FloatTensor;
    use zograd_perturb::{NoisePass, Sides, TensorId};
    fn check<B: NoiseBackend>(dtype: DType, place: fn(&FloatTensor<B>) -> *const u8) {
        let table = Tensor::<B, 2>::ones([600, 1000], &Default::default()).cast(dtype);
        let table = table.into_primitive().tensor();
        let bits = |tensor: &FloatTensor<B>| {
            let tensor = burn::tensor::TensorPrimitive::Float(tensor.clone());
            Tensor::<B, 2>::from_primitive(tensor).into_data()
        };
        let make = |seed, rooms: &mut _| {
            let terms = [(Seed::new(seed), 0.5)];
            let pass = NoisePass::new(TensorId::of("table"), NoiseKind::Gaussian, &terms);
            B::moved(&table, None, &pass, Sides::Both, rooms)
        };
        let mut rooms = Rooms::default();
        let first = make(1, &mut rooms);
        // kept by the rooms, so that no allocator can give the same memory out again
        assert_eq!(format!("{rooms:?}"), "Rooms(2 lent)");
        let mut places: Vec<_> = first.iter().map(place).collect();
        drop(first);
        let second = make(2, &mut rooms);
        let mut found: Vec<_> = second.iter().map(place).collect();
        places.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, places);
        let third = make(3, &mut rooms);
        assert!(!third.iter().map(place).any(|place| found.contains(&place)));
        for (made, seed) in [(second, 2), (third, 3)] {
            let fresh = make(seed, &mut Rooms::default());
            for (made, fresh) in made.iter().zip(&fresh) {
                assert_eq!(bits(made), bits(fresh), "{dtype:?}");
            }
        }
    }
    check::<NdArray<f32>>(DType::F32, |tensor| match tensor {
        NdArrayTensor::F32(storage) => storage.view().as_ptr().cast(),
        other => panic!("{other:?}"),
    });
    for dtype in [DType::F32, DType::BF16] {
        check::<Flex>(dtype, |tensor| tensor.bytes().as_ptr());
    }
}

/// A direction and its opposite cost the streams of one; nothing costs nothing; an update costs what it did.
#[test]
fn streams_and_passes_are_counted() {
    let mut model = model::<Flex>(DType::F32, NoiseKind::Gaussian, true, &Selection::All);
    let counts = |model: &Perturbed<Flex, Net<Flex>>| (model.passes(), model.streams());
    let look = |model: &mut Perturbed<Flex, Net<Flex>>, directions: &[Direction]| {
        let seen = model.at_probes(directions, |_, probes| {
            probes.iter().map(Probe::points).collect::<Vec<_>>()
        });
        seen.expect("finite")
    };
    assert_eq!(look(&mut model, &directions()), [1, 2, 1, 2, 1]);
    assert_eq!(counts(&model), (4, 1 + 3 + 1 + 1));
    assert!(look(&mut model, &[]).is_empty());
    assert_eq!(counts(&model), (4, 6));
    model
        .update(&AppliedUpdate::new(z(1) + z(2), 1e-3))
        .expect("a pass");
    assert_eq!(counts(&model), (5, 8));
    // it stood elsewhere: a pass back to theta
    model.move_to(&z(1)).expect("a pass");
    look(&mut model, &[z(2)]);
    assert_eq!(counts(&model), (8, 11));
    assert!(model.at().is_zero());
}

#[test]
fn what_cannot_be_reached_is_refused_unseen() {
    let mut model = model::<Flex>(DType::F32, NoiseKind::Gaussian, true, &Selection::All);
    let far = z(1) * 1e6;
    let refused = model.at_probes(&[z(1), far], |_, _| panic!("it must not be looked at"));
    assert!(matches!(refused, Err(PerturbError::TooFar { .. })));
    let refused = model.at_probes(&[z(1) * f64::NAN], |_, _| panic!("nor this"));
    assert!(matches!(refused, Err(PerturbError::NonFinite(_))));
    assert_eq!((model.passes(), model.streams()), (0, 0));
}
