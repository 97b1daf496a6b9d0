//! Tables, and what may be said of two servers that were measured in turns.

/// The middle of some numbers.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

/// How one server stands to another, round by round.
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// Rounds in which the first was lower.
    pub ahead: usize,
    /// Rounds.
    pub rounds: usize,
}

/// Pairs the rounds of two servers.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> Ratio {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    Ratio {
        median: median(&ratios),
        ahead: ratios.iter().filter(|ratio| **ratio < 1.0).count(),
        rounds: ratios.len(),
    }
}

/// Prints rows in columns, the first to the left and the others to the right.
pub fn print_table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(at, (cell, width))| {
                    if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        println!("  {}", cells.join("  "));
    }
}
