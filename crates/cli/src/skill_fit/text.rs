//! What is known of a sweep's skills as text for a terminal.

use std::fmt::Write;

use scalelaw_findings::Investment;
use scalelaw_findings::capacity::CapacityAt;
use scalelaw_fit::conclusion::Interval;
use scalelaw_schema::sweep::SkillTarget;

use super::{SkillCapacity, SkillFindings, SkillViable, UseMixture};

/// The findings at `width` columns, without colour.
pub fn render(findings: &SkillFindings, width: usize) -> String {
    let mut out = String::new();
    if let Some(found) = &findings.skills {
        out.push_str(&scalelaw_findings::skills::render(found, width));
    }
    validation(&mut out, findings);
    fractions(&mut out, findings);
    mixing(&mut out, findings);
    for best in &findings.best {
        best_mixture(&mut out, best);
    }
    for capacity in &findings.capacity {
        bits(&mut out, capacity);
    }
    if !findings.viable.is_empty() {
        head(&mut out, "least investment that reaches a target");
    }
    for viable in &findings.viable {
        investments(&mut out, viable);
    }
    if !findings.absent.is_empty() {
        head(&mut out, "left out");
    }
    for absent in &findings.absent {
        line(&mut out, format!("  {}: {}", absent.part, absent.why));
    }
    out
}

fn line(out: &mut String, text: String) {
    out.push_str(text.trim_end());
    out.push('\n');
}

/// A part's name, after an empty line where it is not the first.
fn head(out: &mut String, text: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    line(out, text.to_string());
}

fn validation(out: &mut String, findings: &SkillFindings) {
    let Some(found) = &findings.validation else { return };
    head(out, &format!("choice of validation text, over mixtures of {}", found.sets.join(", ")));
    for spread in &found.spreads {
        let bound = if spread.is_bound { "at least " } else { "" };
        let ends = spread
            .interval
            .as_ref()
            .map_or(String::new(), |i| format!(" [{:.0} %, {:.0} %]", 100.0 * i.low, 100.0 * i.high));
        line(
            out,
            format!(
                "  {:.3e}  N* moves by {bound}{:.0} %{ends}, from {} to {}",
                spread.budget,
                100.0 * spread.spread,
                spread.smallest,
                spread.largest
            ),
        );
    }
    let costliest = found.regrets.iter().max_by(|x, y| x.nats.total_cmp(&y.nats));
    if let Some(regret) = costliest {
        let share = regret.flops_share.map_or(String::new(), |share| {
            format!("; the right size spares {:.0} % of the compute", 100.0 * share)
        });
        line(
            out,
            format!(
                "  largest regret: `{}` at the size that `{}` chooses, {:.3e} FLOPs: {:.4} nats{}{share}",
                regret.target,
                regret.chosen,
                regret.budget,
                regret.nats,
                ends(regret.nats_interval.as_ref())
            ),
        );
    }
}

fn fractions(out: &mut String, findings: &SkillFindings) {
    if findings.fractions.is_empty() {
        return;
    }
    head(out, "N* against the fraction f of a corpus");
    for curve in &findings.fractions {
        let slope = curve.slope.map_or("not known".to_string(), |slope| {
            format!("{slope:.2}{}", ends(curve.slope_interval.as_ref()))
        });
        let by_law = curve.slope_by_law.map_or(String::new(), |slope| {
            format!("; by the law of f·D {slope:.2}{}", ends(curve.slope_by_law_interval.as_ref()))
        });
        line(out, format!("  {}: d ln N* / d ln f = {slope}{by_law}", curve.skill));
        for point in &curve.points {
            let n = match (point.optimum.n, &point.optimum.why_none) {
                (Some(n), _) => {
                    let ends = point
                        .optimum
                        .n_interval
                        .as_ref()
                        .map_or(String::new(), |i| format!(" [{:.3e}, {:.3e}]", i.low, i.high));
                    format!("N* {n:.3e}{ends}")
                }
                (None, Some(why)) => format!("none: {why}"),
                (None, None) => "none".to_string(),
            };
            line(out, format!("    f {:.3}  {:.3e}  {n}", point.fraction, point.optimum.budget));
        }
        for warning in &curve.warnings {
            line(out, format!("    {warning}"));
        }
    }
}

fn mixing(out: &mut String, findings: &SkillFindings) {
    let Some(found) = &findings.mixing else { return };
    head(out, &format!("mixing law over {} mixtures, L = c + k·exp(sum t·r)", found.n_mixtures));
    for law in &found.laws {
        let slopes: Vec<String> =
            found.sources.iter().zip(&law.t).map(|(source, t)| format!("{source} {t:.2}")).collect();
        line(
            out,
            format!(
                "  {}: c {:.3}{}, k {:.3}, t: {}; held out {:.4} nats, by the mean {:.4}",
                law.text,
                law.c,
                ends(law.c_interval.as_ref()),
                law.k,
                slopes.join(", "),
                law.held_out_mae,
                law.baseline_mae
            ),
        );
    }
    for (text, why) in &found.refused {
        line(out, format!("  {text}: {why}"));
    }
}

fn best_mixture(out: &mut String, best: &UseMixture) {
    let UseMixture { name, mixture } = best;
    let weights: Vec<String> =
        mixture.weights.iter().map(|(text, weight)| format!("{text} {weight:.2}")).collect();
    head(out, &format!("best mixture for `{name}` ({})", weights.join(", ")));
    for share in &mixture.shares {
        let place = if share.on_boundary { ", at the end of what was tried" } else { "" };
        line(out, format!("  {}: {:.3}{}{place}", share.source, share.share, ends(share.interval.as_ref())));
    }
    line(
        out,
        format!(
            "  loss {:.4}{}, {:.4}{} below the best mixture that was trained",
            mixture.loss,
            ends(mixture.loss_interval.as_ref()),
            mixture.gain,
            ends(mixture.gain_interval.as_ref())
        ),
    );
}

fn bits(out: &mut String, capacity: &SkillCapacity) {
    let SkillCapacity { skill, found } = capacity;
    head(out, &format!("capacity by `{skill}`, N counted as `{}`", found.count_rule));
    let mut most = f64::NEG_INFINITY;
    let is_record = |at: &&CapacityAt| {
        let is_record = at.bits_per_param > most;
        most = most.max(at.bits_per_param);
        is_record
    };
    let records: Vec<&CapacityAt> = found.by_exposures.iter().filter(is_record).collect();
    for at in &records {
        let bound = if at.is_bound { ">= " } else { "" };
        line(
            out,
            format!(
                "  {:>6} exposures  {bound}{:.3} bits per parameter{}, N {:.3e}, {:.0} % of {} facts known",
                at.exposures,
                at.bits_per_param,
                ends(at.interval.as_ref()),
                at.n,
                100.0 * at.share_known,
                at.n_facts
            ),
        );
    }
    match found.by_exposures.len() - records.len() {
        0 => {}
        1 => line(out, "  one other number of exposures stored less than a smaller one".to_string()),
        n => line(out, format!("  {n} other numbers of exposures stored less than smaller ones")),
    }
    for note in &found.notes {
        line(out, format!("  {note}"));
    }
}

fn investments(out: &mut String, viable: &SkillViable) {
    let found = &viable.found;
    line(out, format!("  {}, with probability {:.0} %", goal(viable), 100.0 * found.target.probability));
    let ways = [
        ("cheapest", &found.cheapest),
        ("compute-optimal", &found.on_path),
        ("least N", &found.least_n),
        ("least D", &found.least_d),
    ];
    for (way, one) in ways {
        let text = one.as_ref().map_or("not reached".to_string(), investment);
        line(out, format!("    {way:<16}{text}"));
    }
    if let Some(price) = found.cheapest.as_ref().and_then(|one| one.price.as_ref()) {
        line(
            out,
            format!(
                "    time at {:.3e} FLOPs per second, as the runs of N = {:.3e} trained",
                price.flops_per_second, price.at_n
            ),
        );
    }
    if let Some(why) = &found.why_none {
        line(out, format!("    {why}"));
    }
}

/// A target in words.
fn goal(viable: &SkillViable) -> String {
    let skill = &viable.skill;
    match viable.goal {
        SkillTarget::Nll(nll) => format!("{skill}: nll of {nll} or less"),
        SkillTarget::Accuracy(accuracy) => {
            format!("{skill}: accuracy of {accuracy} or more, at an nll of {:.4}", viable.found.target.loss)
        }
    }
}

fn investment(one: &Investment) -> String {
    let mut text = format!("N {:.3e}  D {:.3e}  {:.3e} FLOPs", one.n, one.d, one.flops);
    if let Some(price) = &one.price {
        let _ = write!(text, "  {}", scalelaw_report::format::duration(price.seconds));
        if let Some(money) = price.money {
            let _ = write!(text, "  {money:.3} {}", price.currency.as_deref().unwrap_or_default());
        }
    }
    if one.decades_beyond > 0.0 {
        let _ = write!(text, "  ({:.1} decades beyond the largest run)", one.decades_beyond);
    } else if one.is_beyond_sizes {
        text.push_str("  (sizes or data that were not tried)");
    }
    text
}

fn ends(interval: Option<&Interval>) -> String {
    interval.map_or(String::new(), |i| format!(" [{:.3}, {:.3}]", i.low, i.high))
}
