//! An evaluation of a finished run.

use scalelaw_schema::eval::EvalRecord;
use scalelaw_schema::score::Measured;

use crate::text;

/// The evaluation on one line.
pub fn line(record: &EvalRecord) -> String {
    let name = &record.request.name;
    let Some(score) = &record.skill else {
        return format!("{name}  loss {}  bpb {}", text::loss(record.loss), text::loss(record.bpb));
    };
    let measured = |found: &Measured| {
        let se = found.se.map_or(String::new(), |se| format!(" ± {}", text::loss(se)));
        format!("{}{se}", text::loss(found.value))
    };
    let mut line = format!("{name}  nll {}", measured(&score.nll));
    if let Some(accuracy) = &score.accuracy {
        line.push_str(&format!("  accuracy {}", measured(accuracy)));
    }
    if let Some(chance) = score.chance {
        line.push_str(&format!("  chance {}", text::loss(chance)));
    }
    line
}
