//! What stands between the maps of gated feed-forward layers, with the same bits on every machine.

use super::Gate;
use super::softmax::exp;

/// `gate = activation(gate) * up`, element by element.
pub(super) fn gated(activation: Gate, gate: &mut [f32], up: &[f32]) {
    // one loop for each, so that the compiler makes vector code of it
    match activation {
        Gate::Silu => multiply(gate, up, silu),
        Gate::GeluTanh => multiply(gate, up, gelu_tanh),
        Gate::Gelu => multiply(gate, up, gelu),
    }
}

#[inline(always)]
fn multiply(gate: &mut [f32], up: &[f32], activation: impl Fn(f32) -> f32) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = activation(*gate) * up;
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn logistic(x: f32) -> f32 {
    let power = exp(-x.abs());
    let scale = 1.0 / (1.0 + power);
    if x < 0.0 { power * scale } else { scale }
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x * logistic(x)
}

/// `(1 + tanh(x)) / 2` is the logistic function of `2 x`: without the difference of near numbers that is left of `1 + tanh(x)`
/// where `x` is below 0.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    x * logistic(TWICE_SQRT_2_OVER_PI * (x + 0.044_715 * (x * x * x)))
}

fn gelu(x: f32) -> f32 {
    // not the system's `erf`, which differs from one system to another
    0.5 * x * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative to the result, of which the exponential has 2e-7. The argument of GELU's is 8 where the result is 1e-3, and its
    /// few roundings are as many times larger there. Smaller results are lost in any sum they enter.
    #[test]
    fn activations_are_exact_to_rounding() {
        type Case = (fn(f32) -> f32, fn(f64) -> f64, f64);
        let functions: [Case; 3] = [
            (silu, |x| x / (1.0 + (-x).exp()), 3e-7),
            (
                gelu_tanh,
                |x| {
                    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                    x / (1.0 + (-2.0 * inner).exp())
                },
                1.5e-6,
            ),
            (gelu, |x| x / 2.0 * libm::erfc(-x / 2f64.sqrt()), 1e-6),
        ];
        for (found, exact, bound) in functions {
            for step in -100_000..100_000 {
                let x = step as f32 * 1e-4;
                let exact = exact(f64::from(x));
                let error = (f64::from(found(x)) - exact).abs();
                assert!(
                    error <= bound * exact.abs() + 2e-9,
                    "{x}: {} {exact}",
                    found(x)
                );
            }
            assert_eq!(found(0.0), 0.0);
            assert_eq!(found(f32::INFINITY), f32::INFINITY);
            assert_eq!(found(1e30), 1e30);
            assert_eq!(found(-1e30), 0.0);
            assert!(found(f32::NAN).is_nan());
        }
    }
}
