//! Draws a chart as SVG: inside the page, where CSS gives the colours, or as a picture of its own.

use std::fmt::Write as _;

use super::chart::{Axis, Chart, Mark, Series, Side, Swatch};
use super::color::{Color, N_STEPS};
use super::glyph::{Fill, shape_path, stroke_attributes};
use crate::text::html::escape;

/// Width and height in the units of the drawing; the page scales it.
const SIZE: [f64; 2] = [560.0, 372.0];
/// Frame of the marks: left, top, right, bottom. Wide enough for the larger text of a narrow page.
const FRAME: [f64; 4] = [58.0, 30.0, 544.0, 318.0];
/// Height of one row of the legend under a picture of its own.
const LEGEND_ROW: f64 = 20.0;
/// Left and right of a picture of its own.
const MARGIN: f64 = 12.0;

/// Where the drawing stands, which decides how colours are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paper {
    Page,
    Alone,
}

/// Inside an HTML page: colours are variables, the legend is HTML beside it (see [`legend`]).
pub fn inline(chart: &Chart) -> String {
    let mut pen = Pen { chart, paper: Paper::Page, out: String::new() };
    pen.put(format_args!(
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"group\" aria-label=\"{}\" data-x=\"{}\" data-y=\"{}\">",
        SIZE[0],
        SIZE[1],
        escape(&chart.title),
        scale_attribute(&chart.x, FRAME[0], FRAME[2]),
        scale_attribute(&chart.y, FRAME[3], FRAME[1]),
    ));
    pen.body();
    pen.out.push_str("</svg>");
    pen.out
}

/// A file of its own on light paper, with title and legend.
pub fn alone(chart: &Chart) -> String {
    let named: Vec<&Series> = chart.series.iter().filter(|series| series.label.is_some()).collect();
    let n_rows = named.len().div_ceil(2) + usize::from(chart.ramp.is_some());
    let height = SIZE[1] + 22.0 + LEGEND_ROW * n_rows as f64 + 6.0;
    let mut pen = Pen { chart, paper: Paper::Alone, out: String::new() };
    let (width, title) = (SIZE[0] + 2.0 * MARGIN, escape(&chart.title));
    pen.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-{MARGIN} 0 {width} {height}\" width=\"{width}\" height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n<title>{title}</title>\n<rect x=\"-{MARGIN}\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n<text y=\"20\" font-size=\"14\" font-weight=\"bold\">{title}</text>\n<g transform=\"translate(0 22)\">"
    ));
    pen.body();
    pen.out.push_str("</g>\n");
    let mut y = SIZE[1] + 22.0 + LEGEND_ROW / 2.0;
    for pair in named.chunks(2) {
        for (series, x) in pair.iter().zip([FRAME[0], (FRAME[0] + FRAME[2]) / 2.0]) {
            pen.swatch(series.swatch, x, y);
            let label = escape(series.label.as_deref().unwrap_or_default());
            pen.put(format_args!("<text x=\"{}\" y=\"{}\">{label}</text>\n", x + 30.0, y + 4.0));
        }
        y += LEGEND_ROW;
    }
    if let Some(ramp) = &chart.ramp {
        let text = format!("{}: {} to {}", ramp.title, ramp.ends[0], ramp.ends[1]);
        for step in 0..N_STEPS {
            let (x, color) = (FRAME[0] + step as f64 * 12.0, Color::Size(step).light());
            pen.put(format_args!(
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"8\" fill=\"{color}\"/>",
                y - 4.0
            ));
        }
        let x = FRAME[0] + N_STEPS as f64 * 12.0 + 8.0;
        pen.put(format_args!("<text x=\"{x}\" y=\"{}\">{}</text>\n", y + 4.0, escape(&text)));
    }
    pen.out.push_str("</svg>\n");
    pen.out
}

/// The legend as HTML: buttons that show and hide, and the colours of an ordered quantity.
pub fn legend(chart: &Chart) -> String {
    let mut html = String::new();
    for (idx, series) in chart.series.iter().enumerate() {
        let Some(label) = &series.label else { continue };
        let mut pen = Pen { chart, paper: Paper::Page, out: String::new() };
        pen.swatch(series.swatch, 0.0, 8.0);
        let _ = write!(
            html,
            "<button type=\"button\" aria-pressed=\"true\" data-s=\"{idx}\"><svg viewBox=\"-1 0 26 16\" aria-hidden=\"true\">{}</svg>{}</button>",
            pen.out,
            escape(label)
        );
    }
    if let Some(ramp) = &chart.ramp {
        let steps: String =
            (0..N_STEPS).map(|step| format!("<i style=\"background:var(--n{step})\"></i>")).collect();
        let _ = write!(
            html,
            "<span class=\"ramp\">{}: {} <span>{steps}</span> {}</span>",
            escape(&ramp.title),
            escape(&ramp.ends[0]),
            escape(&ramp.ends[1])
        );
    }
    if html.is_empty() { html } else { format!("<div class=\"legend\">{html}</div>") }
}

/// `log|linear low high pixel-of-low pixel-of-high title`, for the pointer's read-out.
fn scale_attribute(axis: &Axis, from: f64, to: f64) -> String {
    let kind = match axis.scale.kind {
        super::scale::ScaleKind::Linear => "linear",
        super::scale::ScaleKind::Log => "log",
    };
    format!("{kind} {:e} {:e} {from} {to}", axis.scale.low, axis.scale.high)
}

struct Pen<'a> {
    chart: &'a Chart,
    paper: Paper,
    out: String,
}

impl Pen<'_> {
    fn put(&mut self, text: std::fmt::Arguments) {
        // Writing to a string cannot fail.
        let _ = self.out.write_fmt(text);
    }

    fn color(&self, color: Color) -> String {
        match self.paper {
            Paper::Page => format!("var(--{})", color.name()),
            Paper::Alone => color.light().to_string(),
        }
    }

    /// Place of a datum in the drawing; none where it has none (zero on a logarithm).
    fn place(&self, at: [f64; 2]) -> Option<[f64; 2]> {
        let [left, top, right, bottom] = FRAME;
        let x = left + self.chart.x.scale.share(at[0]) * (right - left);
        let y = bottom - self.chart.y.scale.share(at[1]) * (bottom - top);
        // Far outside the frame browsers lose precision; the clip hides it in any case.
        (x.is_finite() && y.is_finite()).then(|| [x.clamp(-2e3, 4e3), y.clamp(-2e3, 4e3)])
    }

    fn body(&mut self) {
        let [left, top, right, bottom] = FRAME;
        let name = &self.chart.name;
        self.put(format_args!(
            "<clipPath id=\"clip-{name}\"><rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n",
            top - 4.0,
            right - left + 4.0,
            bottom - top + 4.0
        ));
        self.axes();
        let chart = self.chart;
        // Names above all marks, or points would hide them.
        let is_label = |mark: &Mark| matches!(mark, Mark::Label { .. });
        for (labels, clip) in [(false, format!(" clip-path=\"url(#clip-{name})\"")), (true, String::new())] {
            for (idx, series) in chart.series.iter().enumerate() {
                if series.marks.iter().any(|mark| is_label(mark) == labels) {
                    self.put(format_args!("<g data-s=\"{idx}\"{clip}>"));
                    series
                        .marks
                        .iter()
                        .filter(|mark| is_label(mark) == labels)
                        .for_each(|mark| self.mark(mark));
                    self.out.push_str("</g>\n");
                }
            }
        }
    }

    fn axes(&mut self) {
        let [left, top, right, bottom] = FRAME;
        let (grid, muted, ink) = (self.color(Color::Grid), self.color(Color::Muted), self.color(Color::Ink));
        let chart = self.chart;
        self.put(format_args!("<g class=\"axes\" fill=\"{muted}\">"));
        for tick in chart.x.scale.ticks(chart.x.text, 9) {
            let Some([x, _]) = self.place([tick.value, chart.y.scale.low]) else { continue };
            let class = if tick.is_major { "" } else { " class=\"minor\"" };
            self.put(format_args!(
                "<path d=\"M{x:.1},{top}V{bottom}\" stroke=\"{grid}\"/><text{class} x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                tick.text
            ));
        }
        for tick in chart.y.scale.ticks(chart.y.text, 7) {
            let Some([_, y]) = self.place([chart.x.scale.low, tick.value]) else { continue };
            self.put(format_args!(
                "<path d=\"M{left},{y:.1}H{right}\" stroke=\"{grid}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 7.0,
                y + 4.0,
                tick.text
            ));
        }
        self.put(format_args!(
            "<path d=\"M{left},{bottom}H{right}\" stroke=\"{muted}\"/><text fill=\"{ink}\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text fill=\"{ink}\" x=\"0\" y=\"15\">{}</text></g>\n",
            right,
            bottom + 42.0,
            escape(&chart.x.title),
            escape(&chart.y.title)
        ));
    }

    fn mark(&mut self, mark: &Mark) {
        let [left, top, right, bottom] = FRAME;
        match mark {
            Mark::Line { points, color, stroke, run, title } => {
                let d = self.path(points);
                if d.is_empty() {
                    return;
                }
                let color = self.color(*color);
                let run = run.map_or(String::new(), |run| format!(" data-r=\"{run}\""));
                let title =
                    title.as_ref().map_or(String::new(), |text| format!("<title>{}</title>", escape(text)));
                self.put(format_args!(
                    "<path{run} d=\"{d}\" fill=\"none\" stroke=\"{color}\"{}>{title}</path>",
                    stroke_attributes(*stroke)
                ));
            }
            Mark::Band { points, color } => {
                let upper: Vec<[f64; 2]> = points.iter().map(|p| [p[0], p[2]]).collect();
                let lower: Vec<[f64; 2]> = points.iter().rev().map(|p| [p[0], p[1]]).collect();
                let (d, back) = (self.path(&upper), self.path(&lower));
                if d.is_empty() || back.is_empty() {
                    return;
                }
                let color = self.color(*color);
                self.put(format_args!(
                    "<path d=\"{d}{}z\" fill=\"{color}\" fill-opacity=\".16\"/>",
                    back.replacen('M', "L", 1)
                ));
            }
            Mark::Point { at, shape, color, run, title } => {
                let Some([x, y]) = self.place(*at) else { return };
                let run = run.map_or(String::new(), |run| format!(" data-r=\"{run}\""));
                let color = self.color(*color);
                let paper = self.color(Color::Paper);
                let (d, fill) = shape_path(*shape, x, y);
                let paint = match fill {
                    Fill::Full => format!("fill=\"{color}\" stroke=\"{paper}\""),
                    Fill::Open => format!("fill=\"{paper}\" stroke=\"{color}\" stroke-width=\"2.2\""),
                    Fill::Strokes => format!("fill=\"none\" stroke=\"{color}\" stroke-width=\"2.2\""),
                };
                self.put(format_args!(
                    "<path class=\"p\"{run} data-at=\"{x:.1},{y:.1}\" d=\"{d}\" {paint}><title>{}</title></path>",
                    escape(title)
                ));
            }
            Mark::Rule { y, color } => {
                let Some([_, y]) = self.place([self.chart.x.scale.low, *y]) else { return };
                let color = self.color(*color);
                self.put(format_args!("<path d=\"M{left},{y:.1}H{right}\" stroke=\"{color}\"/>"));
            }
            Mark::Upright { x, color } => {
                let Some([x, _]) = self.place([*x, self.chart.y.scale.low]) else { return };
                let color = self.color(*color);
                self.put(format_args!("<path d=\"M{x:.1},{top}V{bottom}\" stroke=\"{color}\"/>"));
            }
            Mark::Beyond { x, text } => {
                let Some([x, _]) = self.place([*x, self.chart.y.scale.low]) else { return };
                let color = self.color(Color::Muted);
                self.put(format_args!(
                    "<path d=\"M{x:.1},{top}H{right}V{bottom}H{x:.1}z\" fill=\"{color}\" fill-opacity=\".07\"/><text class=\"note\" x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{color}\">{}</text>",
                    right - 6.0,
                    bottom - 8.0,
                    escape(text)
                ));
            }
            Mark::Label { at, text, color, side } => {
                let Some([x, y]) = self.place(*at) else { return };
                if !(left..=right + 1.0).contains(&x) || !(top - 5.0..=bottom + 1.0).contains(&y) {
                    return;
                }
                let (color, paper) = (self.color(*color), self.color(Color::Paper));
                let (dx, dy, anchor) = match side {
                    // A falling line leaves room below its right end, and above it everywhere else.
                    Side::End if x > right - 80.0 => (-2.0, 16.0, "end"),
                    Side::End => (5.0, -5.0, "start"),
                    Side::Above => (0.0, -9.0, "start"),
                    Side::Below if y > bottom - 24.0 => (0.0, -13.0, "middle"),
                    Side::Below => (0.0, 20.0, "middle"),
                };
                self.put(format_args!(
                    "<text class=\"direct\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\" stroke=\"{paper}\" stroke-width=\"3\" paint-order=\"stroke\" stroke-linejoin=\"round\">{}</text>",
                    x + dx,
                    y + dy,
                    escape(text)
                ));
            }
        }
    }

    /// Path through `points`, relative and to a tenth of a unit, which is what keeps pages small.
    fn path(&self, points: &[[f64; 2]]) -> String {
        let mut d = String::new();
        let mut last: Option<[i64; 2]> = None;
        for point in points {
            let Some(place) = self.place(*point) else { continue };
            let now = place.map(|x| (x * 10.0).round() as i64);
            match last {
                None => {
                    let _ = write!(d, "M{},{}", tenth(now[0]), tenth(now[1]));
                }
                Some(before) if before == now => continue,
                Some(before) => {
                    let _ = write!(d, "l{},{}", tenth(now[0] - before[0]), tenth(now[1] - before[1]));
                }
            }
            last = Some(now);
        }
        d
    }

    fn swatch(&mut self, swatch: Swatch, x: f64, y: f64) {
        match swatch {
            Swatch::Line(color, stroke) => {
                let color = self.color(color);
                self.put(format_args!(
                    "<path d=\"M{x},{y}h24\" fill=\"none\" stroke=\"{color}\"{}/>",
                    stroke_attributes(stroke)
                ));
            }
            Swatch::Band(color) => {
                let color = self.color(color);
                self.put(format_args!(
                    "<path d=\"M{x},{}h24v10h-24z\" fill=\"{color}\" fill-opacity=\".25\"/>",
                    y - 5.0
                ));
            }
            Swatch::Point(color, shape) => {
                let (d, fill) = shape_path(shape, x + 12.0, y);
                let color = self.color(color);
                match fill {
                    Fill::Full => self.put(format_args!("<path d=\"{d}\" fill=\"{color}\"/>")),
                    Fill::Open | Fill::Strokes => self.put(format_args!(
                        "<path d=\"{d}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2.2\"/>"
                    )),
                }
            }
        }
    }
}

/// A number of tenths without what need not be written.
fn tenth(tenths: i64) -> String {
    if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{}", tenths as f64 / 10.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::chart::Stroke;
    use crate::draw::scale::{Scale, ScaleKind, TickText};

    fn chart(marks: Vec<Mark>) -> Chart {
        let axis = |title: &str| Axis {
            title: title.to_string(),
            scale: Scale { kind: ScaleKind::Log, low: 1.0, high: 100.0 },
            text: TickText::Plain,
        };
        Chart {
            name: "test".into(),
            title: "a < b".to_string(),
            caption: String::new(),
            x: axis("x"),
            y: axis("y"),
            series: vec![Series::named("one", Swatch::Line(Color::Law, Stroke::Solid), marks)],
            ramp: None,
        }
    }

    #[test]
    fn marks_lie_where_the_scales_put_them_and_what_has_no_place_is_left_out() {
        let points = vec![[1.0, 1.0], [0.0, 5.0], [10.0, 10.0], [100.0, 100.0]];
        let svg = inline(&chart(vec![Mark::line(points, Color::Law, Stroke::Solid)]));
        assert!(svg.contains("d=\"M58,318l243,-144l243,-144\""), "{svg}");
        assert!(svg.contains("aria-label=\"a &lt; b\""));
    }

    #[test]
    fn a_picture_of_its_own_needs_no_variables() {
        let svg = alone(&chart(vec![Mark::Rule { y: 10.0, color: Color::Ink }]));
        assert!(svg.starts_with("<svg xmlns") && !svg.contains("var("), "{svg}");
        assert!(svg.contains(">one</text>"));
    }
}
