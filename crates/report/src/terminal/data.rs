//! The text of `scalelaw data`: corpora, skills, their items, and what became of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use scalelaw_schema::listing::{ListedCorpus, ListedSkill, Listing};
use scalelaw_schema::overlap::OverlapReport;
use scalelaw_schema::skill::{SkillItem, Target};

use crate::text::{bytes, count, counted, fixed};

/// Items that are shown of a suite.
const N_SHOWN: usize = 5;

/// The built-in corpora, then the built-in skills.
pub fn listing(listing: &Listing) -> String {
    let corpora = listing.corpora.iter().map(corpus);
    corpora.chain(listing.skills.iter().map(skill)).collect()
}

fn corpus(corpus: &ListedCorpus) -> String {
    let description = corpus.description.as_deref().unwrap_or_default();
    entry(&corpus.name, description, &[licence(&corpus.licence)], corpus.missing.as_deref())
}

fn skill(skill: &ListedSkill) -> String {
    let description =
        format!("{}: {}", skill.family.name(), skill.description.as_deref().unwrap_or_default());
    let mut facts = Vec::new();
    facts.extend(skill.fact_bits.map(|bits| format!("{} bits of facts", count(bits.round() as u64))));
    facts.extend(
        skill
            .naive_nats_per_answer
            .map(|nats| format!("{} nats per answer without the skill", fixed(nats, 2))),
    );
    facts.extend(skill.document_bytes.map(|mean| format!("{} per document", bytes(mean))));
    let facts = (!facts.is_empty()).then(|| facts.join(", "));
    entry(&skill.name, &description, &[licence(&skill.licence), facts], skill.missing.as_deref())
}

fn licence(licence: &Option<String>) -> Option<String> {
    licence.as_ref().map(|licence| format!("licence: {licence}"))
}

fn entry(name: &str, description: &str, lines: &[Option<String>], missing: Option<&str>) -> String {
    let mut text = format!("  {name:12} {description}\n");
    let here = missing.map_or("on this machine".to_string(), |why| format!("missing: {why}"));
    for line in lines.iter().flatten().chain([&here]) {
        text.push_str(&format!("{:15}{line}\n", ""));
    }
    text
}

/// Number of items and of each group, then the first items.
pub fn items(items: &[&SkillItem]) -> String {
    let mut text = counted(items.len(), "item") + "\n";
    let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
    for group in items.iter().filter_map(|item| item.group.as_deref()) {
        *groups.entry(group).or_default() += 1;
    }
    for (group, n) in groups {
        let _ = writeln!(text, "  {group}: {}", count(n));
    }
    for item in items.iter().take(N_SHOWN) {
        let _ = writeln!(text, "\n{}[{}]", item.prompt, item.answer());
        if let Target::Choices { texts, correct } = &item.target {
            for (_, other) in texts.iter().enumerate().filter(|(idx, _)| idx != correct) {
                let _ = writeln!(text, "  not [{other}]");
            }
        }
    }
    text
}

/// How many items occur in the training text, in one sentence.
pub fn overlap_text(report: &OverlapReport) -> String {
    let endless = match report.in_part.as_slice() {
        [] => String::new(),
        names => format!("; of endless {} only the beginning", names.join(", ")),
    };
    let verbs = if report.n_found == 1 {
        "occurs in the training text and was"
    } else {
        "occur in the training text and were"
    };
    let too_short = match report.n_too_short {
        0 => String::new(),
        1 => "; 1 is too short to check".to_string(),
        n => format!("; {} are too short to check", count(n)),
    };
    format!(
        "{} of {} {verbs} dropped ({} searched{endless}){too_short}",
        count(report.n_found),
        counted(report.n_items as usize, "item"),
        bytes(report.bytes as f64),
    )
}

/// The tokens of one corpus after `scalelaw data prepare`.
#[derive(Debug, Clone, Copy)]
pub struct Prepared<'a> {
    /// Name of the corpus.
    pub name: &'a str,
    /// Training tokens in the cache.
    pub train_tokens: u64,
    /// Whether these are all of the corpus.
    pub is_exhausted: bool,
    /// Training documents that were tokenised.
    pub train_documents: u64,
    /// Held-out tokens in the cache.
    pub held_out_tokens: u64,
}

/// The tokens of one corpus, on one line.
pub fn prepared(corpus: &Prepared) -> String {
    format!(
        "{}: {} training tokens{} of {}, {} held out\n",
        corpus.name,
        count(corpus.train_tokens),
        if corpus.is_exhausted { " (the whole corpus)" } else { "" },
        counted(corpus.train_documents as usize, "document"),
        count(corpus.held_out_tokens),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_one_sentence_with_the_right_plurals() {
        let report = OverlapReport {
            n_found: 57,
            n_items: 1024,
            n_too_short: 9,
            bytes: 160_424_547,
            in_part: vec!["facts".to_string(), "hops".to_string()],
            examples: Vec::new(),
        };
        assert_eq!(
            overlap_text(&report).replace('\u{202f}', ","),
            "57 of 1,024 items occur in the training text and were dropped (160 MB searched; of endless \
             facts, hops only the beginning); 9 are too short to check"
        );
        let one =
            OverlapReport { n_found: 1, n_items: 50, n_too_short: 0, bytes: 2000, ..Default::default() };
        assert_eq!(
            overlap_text(&one),
            "1 of 50 items occurs in the training text and was dropped (2.0 kB searched)"
        );
    }

    #[test]
    fn a_prepared_corpus_says_whether_it_is_whole() {
        let mut corpus = Prepared {
            name: "notes",
            train_tokens: 900,
            is_exhausted: true,
            train_documents: 1,
            held_out_tokens: 100,
        };
        assert_eq!(
            prepared(&corpus),
            "notes: 900 training tokens (the whole corpus) of 1 document, 100 held out\n"
        );
        corpus.is_exhausted = false;
        corpus.train_documents = 2;
        assert_eq!(prepared(&corpus), "notes: 900 training tokens of 2 documents, 100 held out\n");
    }
}
