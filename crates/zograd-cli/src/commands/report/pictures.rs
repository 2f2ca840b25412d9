//! The charts as files of their own.

use crate::charts::{self, Place, Quantity};
use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg;
use zograd_runs::experiment::{Axis, Group};

/// The letters of PNG files: a machine without a screen has no fonts of its own. `assets/README.md` says where
/// it is from.
const FONT: &[u8] = include_bytes!("../../../assets/DejaVuSans-subset.ttf");
/// Pixels of a PNG for one of the SVG.
const SCALE: f32 = 2.0;

/// Every chart as an SVG file.
///
/// # Errors
/// A chart that cannot be drawn.
pub fn svg(groups: &[Group<'_>]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for quantity in Quantity::ALL {
        for axis in Axis::USUAL {
            if let Some(svg) = charts::svg(quantity, axis, groups, Place::File)? {
                let name = format!("{}-{}.svg", quantity.name(), axis.name());
                files.push((name, svg.into_bytes()));
            }
        }
    }
    Ok(files)
}

/// The same charts as PNG files.
///
/// # Errors
/// A chart that cannot be rasterised.
pub fn png(svg: &[(String, Vec<u8>)]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut options = usvg::Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let raster = |(name, svg): &(String, Vec<u8>)| {
        let tree = usvg::Tree::from_data(svg, &options).with_context(|| name.clone())?;
        let size = tree.size();
        let pixels = |length: f32| (length * SCALE).ceil() as u32;
        let mut map = Pixmap::new(pixels(size.width()), pixels(size.height()))
            .with_context(|| format!("{name} has no size"))?;
        resvg::render(
            &tree,
            Transform::from_scale(SCALE, SCALE),
            &mut map.as_mut(),
        );
        Ok((name.replace(".svg", ".png"), map.encode_png()?))
    };
    svg.iter().map(raster).collect()
}
