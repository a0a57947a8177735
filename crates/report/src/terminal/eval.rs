//! An evaluation of a finished run.

use scalelaw_schema::eval::Evaluation;
use scalelaw_schema::score::Score;

/// The evaluation on one line; losses in nats per token, `bpb` in bits per byte.
pub fn line(evaluation: &Evaluation) -> String {
    let name = &evaluation.request.name;
    let score = match &evaluation.score {
        Score::Text { loss, bpb, .. } => return format!("{name}  loss {loss:.4}  bpb {bpb:.4}"),
        Score::Items(score) => score,
    };
    let se = |se: Option<f64>| se.map_or(String::new(), |se| format!(" ± {se:.4}"));
    let mut text = format!("{name}  nll {:.4}{}", score.nll.value, se(score.nll.se));
    if let Some(accuracy) = &score.accuracy {
        text.push_str(&format!("  accuracy {:.4}{}", accuracy.value, se(accuracy.se)));
    }
    if let Some(chance) = score.chance {
        text.push_str(&format!("  chance {chance:.4}"));
    }
    text
}
