//! Tables for terminals.

/// A table with a head: the first columns to the left, the others to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
    /// How many columns hold words.
    left: usize,
}

impl Table {
    /// An empty table with these heads.
    pub fn new<S: Into<String>>(heads: impl IntoIterator<Item = S>) -> Self {
        let heads = heads.into_iter().map(Into::into).collect();
        Self {
            rows: vec![heads],
            left: 1,
        }
    }

    /// With so many columns to the left.
    pub fn left(self, left: usize) -> Self {
        Self { left, ..self }
    }

    /// Adds a row.
    pub fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The heads, then the rows.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Takes away the columns without anything in them but dashes.
    pub fn without_empty_columns(mut self) -> Self {
        let filled = |column: usize| {
            let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(column));
            cells.any(|cell| cell != "-" && !cell.is_empty())
        };
        let keep: Vec<bool> = (0..self.rows[0].len()).map(filled).collect();
        for row in &mut self.rows {
            let mut kept = keep.iter();
            row.retain(|_| kept.next().copied().unwrap_or(true));
        }
        self
    }

    /// As lines of text.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&widths).enumerate();
            let padded = cells.map(|(column, (cell, width))| match column {
                column if column < self.left => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_string()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(["name", "a", "b"]);
        table.push(vec!["x".into(), "-".into(), "0.5 ± 0.1".into()]);
        table.push(vec!["longer".into(), "-".into(), "1".into()]);
        assert_eq!(
            table.without_empty_columns().text(),
            "name            b\nx       0.5 ± 0.1\nlonger          1"
        );
    }
}
