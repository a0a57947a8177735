//! Reads the documents of a part one after the other, skipping repeated texts.

use std::collections::HashSet;
use std::slice::Iter;

use serde::{Deserialize, Serialize};

use crate::corpus::split::{Documents, Split};
use crate::error::DataError;
use crate::hash::Digest;
use crate::skills::Generated;
use crate::skills::task::Part;
use crate::sources::document::Document;

/// What has been read so far of a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadProgress {
    /// Entries of the list that were passed, used or not.
    pub listed: usize,
    /// Documents that were read.
    pub documents: u64,
    /// Documents equal to an earlier one or to a held-out one.
    pub duplicates: u64,
    /// Files that are binary, not UTF-8, or only white space.
    pub not_text: u64,
}

/// A position among the documents of a part.
pub(crate) struct Reader<'a> {
    source: Source<'a>,
    tag: &'a str,
    seen: HashSet<Digest>,
    progress: ReadProgress,
}

enum Source<'a> {
    Listed(Iter<'a, Document>),
    /// The position is [`ReadProgress::listed`]. Repeated documents are kept: their frequency is part of the task.
    Generated(&'a Generated, Part),
}

fn source_of(documents: &Documents) -> Source<'_> {
    match documents {
        Documents::Listed(documents) => Source::Listed(documents.iter()),
        Documents::Generated(generated, part) => Source::Generated(generated, *part),
    }
}

impl<'a> Reader<'a> {
    /// Reads the held-out part.
    pub(crate) fn held_out(split: &'a Split) -> Reader<'a> {
        let (source, tag) = (source_of(&split.held_out), split.tag.as_deref().unwrap_or_default());
        Reader { source, tag, seen: HashSet::new(), progress: ReadProgress::default() }
    }

    /// Reads the training part, skipping texts that are also held out.
    ///
    /// # Errors
    /// `Io`, `Changed`: it reads the held-out documents first.
    pub(crate) fn train(split: &'a Split) -> Result<Reader<'a>, DataError> {
        let mut held_out = Reader::held_out(split);
        while matches!(held_out.source, Source::Listed(_)) && held_out.skip_one()? {}
        let source = source_of(&split.train);
        Ok(Reader { source, tag: held_out.tag, seen: held_out.seen, progress: ReadProgress::default() })
    }

    /// Reads the held-out part without its tag.
    pub(crate) fn untagged_held_out(split: &'a Split) -> Reader<'a> {
        Reader { tag: "", ..Reader::held_out(split) }
    }

    /// Reads the training part without its tag.
    ///
    /// # Errors
    /// As [`Reader::train`].
    pub(crate) fn untagged_train(split: &'a Split) -> Result<Reader<'a>, DataError> {
        Ok(Reader { tag: "", ..Reader::train(split)? })
    }

    /// What has been read so far.
    pub(crate) fn progress(&self) -> ReadProgress {
        self.progress
    }

    /// The next text; `None` at the end.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn next_text(&mut self) -> Result<Option<String>, DataError> {
        let documents = match &mut self.source {
            Source::Listed(documents) => documents,
            Source::Generated(generated, part) => {
                let idx = self.progress.listed as u64;
                // The pool limits training documents only.
                if *part == Part::Train && generated.pool.is_some_and(|pool| idx >= pool) {
                    return Ok(None);
                }
                self.progress.listed += 1;
                self.progress.documents += 1;
                return Ok(Some(format!("{}{}", self.tag, generated.task.document(*part, idx).text)));
            }
        };
        for document in documents.by_ref() {
            self.progress.listed += 1;
            let Some(text) = document.read()? else {
                self.progress.not_text += 1;
                continue;
            };
            if self.seen.insert(text.content) {
                self.progress.documents += 1;
                return Ok(Some(match self.tag {
                    "" => text.text,
                    tag => format!("{tag}{}", text.text),
                }));
            }
            self.progress.duplicates += 1;
        }
        Ok(None)
    }

    /// Skips to the position where an earlier reader had passed `listed` entries.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn skip_to(&mut self, listed: usize) -> Result<(), DataError> {
        if matches!(self.source, Source::Generated(..)) {
            (self.progress.listed, self.progress.documents) = (listed, listed as u64);
            return Ok(());
        }
        while self.progress.listed < listed && self.skip_one()? {}
        Ok(())
    }

    /// Passes one entry, reading it only if its hash is not known; `false` at the end.
    fn skip_one(&mut self) -> Result<bool, DataError> {
        let Source::Listed(documents) = &mut self.source else { return Ok(false) };
        let Some(document) = documents.next() else { return Ok(false) };
        self.progress.listed += 1;
        let content = match document.content {
            Some(content) => Some(content),
            None => document.read()?.map(|text| text.content),
        };
        match content {
            None => self.progress.not_text += 1,
            Some(content) if self.seen.insert(content) => self.progress.documents += 1,
            Some(_) => self.progress.duplicates += 1,
        }
        Ok(true)
    }
}
