//! A plan as people read it before a run.

use super::figure;
use super::style::{Paint, Style};
use super::table::{Cell, Column, Table};
use crate::plan::{Plan, Scenario, Start, ThresholdPlan};
use crate::units::format_duration;

/// Returns what a plan will do and how it is judged, in lines of at most `style.width` columns,
/// without an end of the last.
pub fn plan_text(plan: &Plan, style: Style) -> String {
    let mut sections = vec![scenarios(plan, style), thresholds(plan, style)];
    sections.retain(|lines| !lines.is_empty());
    let sections: Vec<_> = sections.iter().map(|lines| lines.join("\n")).collect();
    sections.join("\n\n")
}

fn scenarios(plan: &Plan, style: Style) -> Vec<String> {
    let title = style.paint(Paint::Strong, "Scenarios");
    let duration = figure::length(style, plan.duration_max());
    let vus = figure::counted(plan.vus_max(), "VU");
    let mut lines = vec![format!("{title}  at most {vus}, at most {duration}")];
    if !plan.tags.is_empty() {
        lines.extend(style.wrap("  tags: ", &tags(plan.tags.iter())));
    }
    for scenario in &plan.scenarios {
        let name = style.paint(Paint::Strong, &style.fit_middle(&scenario.name, 40));
        let executor = style.paint(Paint::Quiet, scenario.executor.name());
        lines.push(style.fit_end(&format!("  {name}  {executor}")));
        lines.extend(style.wrap("    ", &scenario.executor.describe()));
        lines.extend(style.wrap("    ", &facts(scenario)));
    }
    lines
}

fn facts(scenario: &Scenario) -> String {
    let mut facts = vec![match &scenario.start {
        Start::At(time) if time.is_zero() => "starts at once".to_owned(),
        Start::At(time) => format!("starts at {}", format_duration(*time)),
        Start::After(other, delay) if delay.is_zero() => format!("starts after `{other}`"),
        Start::After(other, delay) => {
            format!("starts {} after `{other}`", format_duration(*delay))
        }
    }];
    facts.push(format!("runs `{}`", scenario.exec));
    facts.push(if scenario.graceful_stop.is_zero() {
        "stops at once".to_owned()
    } else {
        format!("graceful stop {}", format_duration(scenario.graceful_stop))
    });
    if !scenario.tags.is_empty() {
        facts.push(format!("tags {}", tags(scenario.tags.iter())));
    }
    facts.join(", ")
}

fn tags<'a>(tags: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    tags.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

fn thresholds(plan: &Plan, style: Style) -> Vec<String> {
    if plan.thresholds.is_empty() {
        return Vec::new();
    }
    let columns = vec![Column::name(""), Column::expression(""), Column::expression("")];
    let mut table = Table::new("Thresholds", columns);
    for threshold in &plan.thresholds {
        table.row(vec![
            threshold.selector.as_str().into(),
            threshold.expression.as_str().into(),
            Cell::painted(Paint::Quiet, conditions(threshold)),
        ]);
    }
    table.lines(style)
}

fn conditions(threshold: &ThresholdPlan) -> String {
    let mut parts = Vec::new();
    if threshold.abort_on_fail {
        let delay = threshold.delay_abort_eval;
        parts.push(if delay.is_zero() {
            "may end the test".to_owned()
        } else {
            format!("may end the test after {}", format_duration(delay))
        });
    }
    if threshold.min_samples > 0 {
        parts.push(format!("from {}", figure::counted(threshold.min_samples, "sample")));
    }
    if threshold.allow_empty {
        parts.push("may be empty".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture;
    use super::super::style::width_of;
    use super::*;

    #[test]
    fn a_plan_says_who_runs_what_and_how_it_is_judged() {
        let mut plan = fixture::violated().plan;
        plan.scenarios[1].start = Start::After("browse".to_owned(), Duration::from_secs(5));
        plan.scenarios[2].start = Start::At(Duration::from_secs(10));
        plan.scenarios[2].tags.insert("role".to_owned(), "clerk".to_owned());
        plan.thresholds[2].delay_abort_eval = Duration::from_secs(20);
        plan.thresholds[3].min_samples = 50;
        let style = Style { color: false, width: 80, unicode: true };
        insta::assert_snapshot!("plan_80", plan_text(&plan, style));
    }

    #[test]
    fn no_line_of_a_plan_is_wider_than_the_terminal() {
        for fixture in [fixture::passed(), fixture::violated(), fixture::odd()] {
            for width in [60, 80, 120] {
                let style = Style { color: true, width, unicode: false };
                let text = plan_text(&fixture.plan, style);
                assert!(text.lines().all(|line| width_of(line) <= width), "{text}");
            }
        }
    }
}
