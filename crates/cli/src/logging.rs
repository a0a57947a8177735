//! Sets up where messages go: events of `tracing`, to standard error for a person or as JSON, and to `log.txt` of the
//! run that this process trains.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::builder::styling::{AnsiColor, Style};
use scalelaw_schema::folder::LOG_TXT;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormattedFields, MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::args::{LogFormat, Shared};
use crate::provenance;
use crate::terminal::{self, BARS};

/// Who reads the standard error of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Whoever started the program.
    Person,
    /// The launcher of this worker. It quotes what a dying worker says, so nothing but errors goes there.
    Launcher,
}

/// Sets up messages for this process; call it once, before the first of them.
pub fn init(shared: &Shared, reader: Reader) {
    let is_coloured = terminal::set_colors(shared.color);
    if shared.quiet || shared.log_format == LogFormat::Json || reader == Reader::Launcher {
        terminal::hide_bars();
    }
    let (level, detail) = match shared.verbose {
        0 => (LevelFilter::INFO, Detail::Message),
        1 => (LevelFilter::DEBUG, Detail::Context),
        _ => (LevelFilter::TRACE, Detail::Full),
    };
    let asked = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    // Errors are shown whatever it selects, unless it says `off`.
    let asked = asked.map(|filter| (format!("error,{filter}").parse::<Targets>(), filter));
    let filter = |level: LevelFilter| match &asked {
        Some((Ok(targets), _)) => targets.clone(),
        _ => Targets::new().with_default(level),
    };
    let stderr = match (reader, shared.quiet) {
        (Reader::Launcher, _) => {
            let errors = Targets::new().with_default(LevelFilter::ERROR);
            messages(LogFormat::Text, Text { detail, is_coloured: false }, io::stderr, errors)
        }
        (Reader::Person, quiet) => {
            let filter = filter(if quiet { LevelFilter::ERROR } else { level });
            messages(shared.log_format, Text { detail, is_coloured }, || AboveBars, filter)
        }
    };
    let log = Text { detail: Detail::Log, is_coloured: false };
    let log = messages(shared.log_format, log, || RunLog, filter(level));
    let subscriber = tracing_subscriber::registry().with(vec![stderr, log]);
    tracing::subscriber::set_global_default(subscriber).expect("messages are set up once");
    if let Some((Err(error), filter)) = &asked {
        warn!("`RUST_LOG={filter}` is ignored: {error} (hint: `debug`, or `scalelaw_train=trace`)");
    }
}

/// Messages also go to the log of the run in `folder` from now on. A log that cannot be written is no reason to lose
/// a run.
pub fn open_run_log(folder: &Path) {
    *run_log() = OpenOptions::new().create(true).append(true).open(folder.join(LOG_TXT)).ok();
}

/// Ends what [`open_run_log`] began.
pub fn close_run_log() {
    *run_log() = None;
}

fn run_log() -> MutexGuard<'static, Option<File>> {
    static RUN_LOG: Mutex<Option<File>> = Mutex::new(None);
    RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One stream of messages.
fn messages<S, W>(
    format: LogFormat,
    text: Text,
    writer: W,
    filter: Targets,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // A terminal that is gone is no reason to fail, and there is nobody to tell.
    let layer = layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let values = debug_fn(|out, _, value| write!(out, "{value:?}"));
            layer.fmt_fields(values).event_format(text).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed()
        }
    }
}

/// How much of an event is shown as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The message, and which run it is about.
    Message,
    /// Time, spans and fields too.
    Context,
    /// The module too.
    Full,
    /// As a line of `log.txt`, which is about one run.
    Log,
}

/// Events as text, `error:` and `warning:` as clap writes them.
#[derive(Debug, Clone, Copy)]
struct Text {
    detail: Detail,
    is_coloured: bool,
}

impl Text {
    /// What is shown of a span, by its name and the values of its fields.
    fn span(&self, name: &str, values: &str) -> Option<String> {
        match (self.detail, name) {
            (Detail::Message, "run") => Some(values.to_string()),
            (Detail::Context | Detail::Full, _) | (Detail::Log, "attempt") => {
                Some(format!("{name} {values}"))
            }
            _ => None,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.detail {
            Detail::Message => {}
            Detail::Context | Detail::Full => write!(out, "{} ", provenance::time_of_day())?,
            Detail::Log => write!(out, "{} ", provenance::now())?,
        }
        let mut label = |text: &str, color: AnsiColor| {
            let style = if self.is_coloured { color.on_default().bold() } else { Style::new() };
            write!(out, "{style}{text}:{style:#} ")
        };
        match *event.metadata().level() {
            Level::ERROR => label("error", AnsiColor::Red)?,
            Level::WARN => label("warning", AnsiColor::Yellow)?,
            _ => {}
        }
        if self.detail == Detail::Full {
            write!(out, "{}: ", event.metadata().target())?;
        }
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let values = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.as_str());
            if let Some(text) = self.span(span.name(), values) {
                write!(out, "{text}: ")?;
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        out.write_str(&fields.message)?;
        if self.detail != Detail::Message {
            out.write_str(&fields.others)?;
        }
        writeln!(out)
    }
}

/// The fields of an event.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    /// ` name=value` for each but the message.
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.others.push_str(&format!(" {name}={value:?}")),
        }
    }
}

/// Standard error; where bars are drawn, the lines above them.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if BARS.is_hidden() {
            return io::stderr().write(bytes);
        }
        BARS.println(String::from_utf8_lossy(bytes).trim_end_matches('\n'))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The log of the run that is trained, if any.
struct RunLog;

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        run_log().as_mut().map_or(Ok(bytes.len()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing::{debug, error, error_span, info};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the same few messages look like.
    fn written(format: LogFormat, detail: Detail, is_coloured: bool, level: LevelFilter) -> Vec<String> {
        let page = Page::default();
        let writer = page.clone();
        let filter = Targets::new().with_default(level);
        let layer = messages(format, Text { detail, is_coloured }, move || writer.clone(), filter);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            info!("hello");
            let _sweep = error_span!("sweep", sweep = %"tiny").entered();
            warn!(n = 2, "look {}", "here");
            let _run = error_span!("run", run = %"n5K").entered();
            debug!("more");
            let _attempt = error_span!("attempt", attempt = 2).entered();
            error!("it broke\n  | there");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_string).collect()
    }

    /// Without the words that hold a time.
    fn timeless(lines: Vec<String>) -> Vec<String> {
        let is_time = |word: &str| word.ends_with('Z') && word.contains(':');
        let strip = |line: String| match line.split_once(' ') {
            Some((time, rest)) if is_time(time) => rest.to_string(),
            _ => format!("no time: {line}"),
        };
        lines.into_iter().map(strip).collect()
    }

    #[test]
    fn a_person_reads_the_message_and_the_run_it_is_about() {
        let lines = written(LogFormat::Text, Detail::Message, false, LevelFilter::INFO);
        assert_eq!(lines, ["hello", "warning: look here", "error: n5K: it broke", "  | there"]);
        let quiet = written(LogFormat::Text, Detail::Message, false, LevelFilter::ERROR);
        assert_eq!(quiet, ["error: n5K: it broke", "  | there"]);
    }

    #[test]
    fn colour_is_on_the_label_alone() {
        let lines = written(LogFormat::Text, Detail::Message, true, LevelFilter::WARN);
        assert_eq!(lines[0], "\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m look here");
        assert_eq!(lines[1], "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m n5K: it broke");
    }

    #[test]
    fn more_detail_has_time_spans_fields_and_at_last_the_module() {
        let lines = timeless(written(LogFormat::Text, Detail::Context, false, LevelFilter::DEBUG));
        assert_eq!(
            lines[..4],
            [
                "hello",
                "warning: sweep tiny: look here n=2",
                "sweep tiny: run n5K: more",
                "error: sweep tiny: run n5K: attempt 2: it broke",
            ]
        );
        let lines = timeless(written(LogFormat::Text, Detail::Full, false, LevelFilter::DEBUG));
        assert_eq!(lines[1], format!("warning: {}: sweep tiny: look here n=2", module_path!()));
        let lines = timeless(written(LogFormat::Text, Detail::Log, false, LevelFilter::INFO));
        assert_eq!(lines[..3], ["hello", "warning: look here n=2", "error: attempt 2: it broke"]);
    }

    #[test]
    fn each_line_of_json_is_one_value_with_its_spans() {
        let lines = written(LogFormat::Json, Detail::Message, false, LevelFilter::INFO);
        let values: Vec<serde_json::Value> =
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(values.len(), 3);
        assert_eq!((&values[1]["level"], &values[1]["message"]), (&"WARN".into(), &"look here".into()));
        assert_eq!(values[1]["n"], 2);
        assert_eq!(values[2]["message"], "it broke\n  | there");
        assert_eq!(values[2]["spans"][1]["run"], "n5K");
        assert_eq!(values[2]["spans"][2]["attempt"], 2);
    }
}
