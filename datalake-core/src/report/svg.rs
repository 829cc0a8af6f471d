//! The few shapes that the charts need, as SVG that takes its colors from the page.

use std::fmt::Write;

use minijinja::HtmlEscape;

/// An SVG drawing in the making. Coordinates are pixels at full width, from the top left.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Which side of a text its position is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A linear scale from values to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub(super) fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.push(format_args!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
    }

    /// A rectangle from its top left corner; `title` is shown when a pointer rests on it.
    pub(super) fn rect(
        &mut self,
        class: &str,
        [x, y]: [f64; 2],
        [width, height]: [f64; 2],
        strength: f64,
        title: &str,
    ) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        let title = clean(title);
        self.push(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill-opacity="{strength:.2}"><title>{title}</title></rect>"#
        ));
    }

    pub(super) fn dot(&mut self, class: &str, [x, y]: [f64; 2]) {
        self.push(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="2.2"/>"#));
    }

    pub(super) fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: Anchor, turn: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = clean(text);
        self.push(format_args!(
            r#"<text class="{class}" text-anchor="{anchor}" transform="translate({x:.1} {y:.1}) rotate({turn})">{text}</text>"#
        ));
    }

    /// The whole drawing, named and described for those who do not see it.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let Self { width, height, body } = self;
        let label = clean(&format!("{title}. {description}"));
        format!(
            r#"<svg role="img" aria-label="{label}" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" xmlns="http://www.w3.org/2000/svg">{body}</svg>"#
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("a string takes every write");
        self.body.push('\n');
    }
}

fn clean(text: &str) -> String {
    HtmlEscape(text).to_string()
}

/// At most `most` characters, the last of them an ellipsis where some are left out.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

impl Axis {
    /// A scale that shows `low` to `high` between two pixels; what is hardly a range gets room on both sides.
    pub(super) fn new([low, high]: [f64; 2], [from, to]: [f64; 2]) -> Self {
        let size = low.abs().max(high.abs());
        let is_range = high / 2.0 - low / 2.0 > (size * 1e-12).max(1e-300);
        let room = if is_range { 0.0 } else { (size * 0.1).max(1e-6) };
        Self { low: low - room, high: high + room, from, to }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        // Halves keep the span of the largest numbers finite.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.from + share * (self.to - self.from)
    }

    /// Round values, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: u32) -> Vec<f64> {
        let Some(step) = round_step((self.high / 2.0 - self.low / 2.0) / f64::from(wanted) * 2.0) else {
            return Vec::new();
        };
        let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
        if last - first > 100.0 {
            return Vec::new();
        }
        (0..=(last - first).max(0.0) as u32).map(|at| (first + f64::from(at)) * step).collect()
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `raw`.
fn round_step(raw: f64) -> Option<f64> {
    if !raw.is_finite() || raw <= 1e-300 {
        return None;
    }
    let mut power: f64 = 1.0;
    while power <= raw / 10.0 {
        power *= 10.0;
    }
    while power > raw {
        power /= 10.0;
    }
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= raw)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(Axis::new([0.0, 97.0], [0.0, 1.0]).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(Axis::new([-0.3, 0.31], [0.0, 1.0]).ticks(4), [-0.2, 0.0, 0.2]);
    }

    #[test]
    fn a_single_value_lies_in_the_middle() {
        assert!((Axis::new([5.0, 5.0], [0.0, 100.0]).at(5.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn long_text_is_shortened_by_characters() {
        assert_eq!(shorten("crème brûlée", 6), "crème…");
        assert_eq!(shorten("crème", 5), "crème");
    }

    proptest! {
        #[test]
        fn any_range_has_a_few_ticks_within_it(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let axis = Axis::new([a.min(b), a.max(b)], [0.0, 400.0]);
            let ticks = axis.ticks(5);
            prop_assert!(ticks.len() <= 12, "{ticks:?}");
            for tick in ticks {
                prop_assert!((-0.01..=400.01).contains(&axis.at(tick)), "{tick} in {axis:?}");
            }
        }
    }
}
