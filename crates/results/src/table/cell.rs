//! A cell of any table, whatever file it came from.

use thiserror::Error;

/// A value, before anyone asks for a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Nothing there.
    Missing,
    /// A whole number. Seeds do not fit into an f64.
    Whole(i128),
    /// A floating-point number, NaN included.
    Real(f64),
    /// Text; every cell of a CSV file is this.
    Text(String),
}

impl Cell {
    /// The number, also where it is written as text.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Cell::Missing => None,
            Cell::Whole(whole) => Some(*whole as f64),
            Cell::Real(real) => Some(*real),
            Cell::Text(text) => text.trim().parse().ok(),
        }
    }

    /// The number where it is whole and not negative.
    pub(crate) fn whole(&self) -> Option<u64> {
        match self {
            Cell::Whole(whole) => u64::try_from(*whole).ok(),
            Cell::Text(text) if text.trim().parse::<u64>().is_ok() => text.trim().parse().ok(),
            // Frames with missing values often store whole numbers as floats; below 2^53 they are exact.
            _ => self.number().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64),
        }
    }

    /// As text.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Cell::Missing => None,
            Cell::Whole(whole) => Some(whole.to_string()),
            Cell::Real(real) => Some(format!("{real:?}")),
            Cell::Text(text) => Some(text.trim().to_string()),
        }
    }

    /// A finite number above zero.
    ///
    /// # Errors
    /// What the cell of `column` is instead.
    pub(crate) fn positive(&self, column: &str) -> Result<f64, CellFault> {
        match self.number() {
            Some(x) => positive(column, x),
            None => Err(CellFault { column: column.to_string(), found: self.to_text().map(Found::Text) }),
        }
    }
}

/// A cell that holds no finite number above zero.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{column}` is {}", found.as_ref().map_or("missing".to_string(), Found::to_string))]
pub(crate) struct CellFault {
    /// The column.
    pub column: String,
    /// What it holds; nothing where it is empty.
    pub found: Option<Found>,
}

/// What a cell holds instead of a finite number above zero.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum Found {
    #[error("`{0}`, not a number")]
    Text(String),
    #[error("NaN")]
    Nan,
    #[error("infinite")]
    Infinite,
    #[error("{0}, not positive")]
    NotPositive(f64),
}

/// A finite number above zero: fits take logarithms.
///
/// # Errors
/// What the value of `column` is instead.
pub(crate) fn positive(column: &str, x: f64) -> Result<f64, CellFault> {
    let found = if x.is_nan() {
        Found::Nan
    } else if x.is_infinite() {
        Found::Infinite
    } else if x <= 0.0 {
        Found::NotPositive(x)
    } else {
        return Ok(x);
    };
    Err(CellFault { column: column.to_string(), found: Some(found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_its_number_or_a_reason() {
        let text = |text: &str| Cell::Text(text.to_string());
        for (cell, expected) in [
            (text(" 1e18 "), Ok(1e18)),
            (text("3"), Ok(3.0)),
            (Cell::Whole(7), Ok(7.0)),
            (Cell::Real(0.5), Ok(0.5)),
            (Cell::Missing, Err("`N` is missing")),
            (text("1.5B"), Err("`N` is `1.5B`, not a number")),
            (text("nan"), Err("`N` is NaN")),
            (Cell::Real(f64::INFINITY), Err("`N` is infinite")),
            (text("0"), Err("`N` is 0, not positive")),
            (Cell::Real(-2.5), Err("`N` is -2.5, not positive")),
        ] {
            let found = cell.positive("N").map_err(|fault| fault.to_string());
            assert_eq!(found, expected.map_err(str::to_string), "{cell:?}");
        }
        for (cell, expected) in [
            (text("18446744073709551615"), Some(u64::MAX)),
            (Cell::Whole(-1), None),
            (Cell::Real(3.0), Some(3)),
            (text("1.5"), None),
            (text("a"), None),
        ] {
            assert_eq!(cell.whole(), expected, "{cell:?}");
        }
    }
}
