//! An evaluation of a finished run.

use scalelaw_schema::eval::Evaluation;
use scalelaw_schema::score::{Measured, Score};

use crate::text;

/// The evaluation on one line; losses in nats per token, `bpb` in bits per byte.
pub fn line(evaluation: &Evaluation) -> String {
    let name = &evaluation.request.name;
    let score = match &evaluation.score {
        Score::Text { loss, bpb, .. } => {
            return format!("{name}  loss {}  bpb {}", text::loss(*loss), text::loss(*bpb));
        }
        Score::Items(score) => score,
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
