//! Reads published tables for tests and examples: comma-separated, no quotes, one header line.

use scalelaw_schema::table::{LossRow, LossTable};

/// Columns `N`, `D`, `C`, `loss`, and where present `budget`, `U` (unique tokens), `run` (cluster).
/// Rows for which `keep` (given a column getter) is false are dropped; `None` where a column is missing.
pub fn read(
    source: &str,
    text: &str,
    keep: impl Fn(&dyn Fn(&str) -> Option<String>) -> bool,
) -> Option<LossTable> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let header: Vec<&str> = lines.next()?.split(',').map(str::trim).collect();
    let mut rows = Vec::new();
    for (idx, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let text = |name: &str| -> Option<String> {
            let column = header.iter().position(|head| *head == name)?;
            fields.get(column).map(|field| (*field).to_owned())
        };
        let number = |name: &str| text(name).and_then(|field| field.parse::<f64>().ok());
        if !keep(&text) {
            continue;
        }
        let (n, d) = (number("N")?, number("D")?);
        rows.push(LossRow {
            name: format!("row {}", idx + 2),
            n,
            d,
            c: number("C").unwrap_or(6.0 * n * d),
            loss: number("loss")?,
            budget: number("budget"),
            cluster: text("run"),
            seed: None,
            unique_tokens: number("U"),
        });
    }
    Some(LossTable {
        source: source.into(),
        count_rule: "as given".into(),
        loss_name: "loss".into(),
        rows,
        excluded: Vec::new(),
    })
}
