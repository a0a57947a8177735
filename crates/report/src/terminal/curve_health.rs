//! Whether learning curves of equal runs agree.

use scalelaw_findings::CurveHealth;

use crate::parts::curve_health;
use crate::text::wrap;

/// A sentence, and the runs that are off; nothing where the runs cannot be compared.
pub fn text(health: &CurveHealth, width: usize) -> String {
    let CurveHealth::Compared(found) = health else { return String::new() };
    let tables: String = curve_health::table(found).iter().map(|table| table.terminal(width)).collect();
    wrap(&curve_health::sentence(found), 0, width) + &tables
}
