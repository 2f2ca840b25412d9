//! Colours, in pairs for light and dark surroundings. SVG files have the light ones; the page's style sheet
//! replaces them where the reader prefers dark.

use plotters::style::RGBColor;

/// A colour in light and in dark surroundings.
pub struct Shade {
    /// On white.
    pub light: RGBColor,
    /// On near-black.
    pub dark: RGBColor,
}

const fn shade(light: u32, dark: u32) -> Shade {
    Shade {
        light: rgb(light),
        dark: rgb(dark),
    }
}

const fn rgb(hex: u32) -> RGBColor {
    RGBColor((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// Text and axes.
pub const INK: Shade = shade(0x33_3a_42, 0xd5_da_e0);
/// Grid lines.
pub const GRID: Shade = shade(0xe3_e6_ea, 0x3a_40_49);

/// Curves: told apart by people who do not see all colours, each with a contrast of 3 or more to its
/// background.
pub const SERIES: [Shade; 8] = [
    shade(0x00_68_ad, 0x62_b5_f2),
    shade(0xc4_50_00, 0xff_9f_5e),
    shade(0x00_7d_5c, 0x4f_d6_a6),
    shade(0x9a_3b_8f, 0xe8_95_da),
    shade(0x8a_6a_00, 0xe3_c2_45),
    shade(0x5b_4f_c4, 0xb0_a8_ff),
    shade(0xb0_2a_4a, 0xff_8f_a6),
    shade(0x5c_63_6b, 0xad_b5_bd),
];

/// Lengths of dash and gap in pixels, for curves whose colour an earlier one has.
pub const DASHES: [[u32; 2]; 2] = [[8, 4], [2, 3]];

/// Dash and gap of the curve with this number; none for the first ones, which have a colour of their own. Colour and
/// dashes together repeat after 24.
pub fn dashes(number: usize) -> Option<[u32; 2]> {
    let round = number / SERIES.len() % (DASHES.len() + 1);
    DASHES.get(round.checked_sub(1)?).copied()
}

/// The colour of the curve with this number; they repeat.
pub fn series(number: usize) -> &'static Shade {
    &SERIES[number % SERIES.len()]
}

/// As CSS and SVG write it; `plotters` uses capitals, too.
pub fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn twenty_four_curves_are_told_apart() {
        let marks: BTreeSet<_> = (0..24).map(|n| (hex(series(n).light), dashes(n))).collect();
        assert_eq!(marks.len(), 24);
        assert_eq!(
            (dashes(7), dashes(8), dashes(16)),
            (None, Some([8, 4]), Some([2, 3]))
        );
    }
}
