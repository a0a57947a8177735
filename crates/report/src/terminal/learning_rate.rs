//! What an `lr` sweep found.

use scalelaw_findings::learning_rate::LrConclusion;

use crate::parts::learning_rate;

/// Best rates, the rule through them, critical batches.
pub fn text(conclusion: &LrConclusion, width: usize) -> String {
    let tables = learning_rate::findings(conclusion);
    let tables: Vec<String> = tables.iter().map(|table| table.terminal(width)).collect();
    format!("{}\n\n{}", conclusion.source, tables.join("\n"))
}
