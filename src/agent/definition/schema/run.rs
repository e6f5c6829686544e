//! `run`: what the rules of the format let through, as the runtime obeys it.

use super::super::grammar::RUN;
use super::super::reader::{Fields, Reader};
use super::super::run::{Chain, Concurrency, Daily, OnConflict, Retry, RunBudget, RunSpec};

const MANY: usize = 1_000_000_000;

pub(super) fn run(reader: &mut Reader<'_>, root: &Fields<'_>) -> RunSpec {
    let mut spec = RunSpec::default();
    let Some(node) = root.get("run") else { return spec };
    let before = reader.problems.len();
    reader.hold(node, "run", &RUN);
    // What is wrong is said, once.
    if reader.problems.len() > before {
        return spec;
    }
    let Some(run) = reader.any_fields(node, "run") else { return spec };
    if let Some(fields) = part(reader, &run, "concurrency") {
        spec.concurrency = concurrency(reader, &fields, spec.concurrency);
    }
    if let Some(fields) = part(reader, &run, "budget") {
        spec.budget = budget(reader, &fields, spec.budget);
    }
    if let Some(fields) = part(reader, &run, "daily") {
        let runs = reader.count(&fields, "runs", (0, MANY)).map(|runs| runs as u64);
        spec.daily = Daily { runs, cost_usd: reader.number(&fields, "cost_usd", (0.0, f64::MAX)) };
    }
    if let Some(fields) = part(reader, &run, "chain") {
        let max_depth = reader.count(&fields, "max_depth", (0, 1000)).map_or(spec.chain.max_depth, narrow);
        let max_runs = reader.count(&fields, "max_runs", (1, 100_000)).map_or(spec.chain.max_runs, |runs| runs as u64);
        spec.chain = Chain { max_depth, max_runs };
    }
    if let Some(fields) = part(reader, &run, "retry") {
        let attempts = reader.count(&fields, "attempts", (1, 100)).map_or(spec.retry.attempts, narrow);
        let base = reader.duration_or(&fields, "base", spec.retry.base);
        spec.retry = Retry { attempts, base, max: reader.duration_or(&fields, "max", spec.retry.max) };
        let Retry { base, max, .. } = spec.retry;
        let said = fields.get("base").or_else(|| fields.get("max"));
        if let Some(node) = said.filter(|_| base > max) {
            let message = format!("`run.retry.base` ({base:?}) is longer than `run.retry.max` ({max:?})");
            reader.note(node.at, "run.retry.base", message);
        }
    }
    spec.durable = reader.word_or(&run, "durable", &[("steps", true), ("off", false)], spec.durable);
    spec.dead_letter = reader.word_or(&run, "dead_letter", &[("keep", true), ("drop", false)], spec.dead_letter);
    spec
}

fn part<'n>(reader: &mut Reader<'_>, run: &Fields<'n>, name: &str) -> Option<Fields<'n>> {
    reader.any_fields(run.get(name)?, &run.path_of(name))
}

fn concurrency(reader: &mut Reader<'_>, fields: &Fields<'_>, usual: Concurrency) -> Concurrency {
    let words = [
        ("reject", OnConflict::Reject),
        ("enqueue", OnConflict::Enqueue),
        ("supersede", OnConflict::Supersede),
        ("coalesce", OnConflict::Coalesce),
    ];
    Concurrency {
        per_agent: reader.count_or(fields, "per_agent", usual.per_agent, (1, MANY)),
        on_conflict: reader.word_or(fields, "on_conflict", &words, usual.on_conflict),
        queue_max: reader.count_or(fields, "queue_max", usual.queue_max, (0, MANY)),
    }
}

fn budget(reader: &mut Reader<'_>, fields: &Fields<'_>, usual: RunBudget) -> RunBudget {
    RunBudget {
        steps: reader.count(fields, "steps", (1, MANY)).map_or(usual.steps, narrow),
        tool_calls: reader.count(fields, "tool_calls", (0, MANY)).map_or(usual.tool_calls, narrow),
        tokens: reader.count(fields, "tokens", (1, usize::MAX)).map(|tokens| tokens as u64),
        cost_usd: reader.number(fields, "cost_usd", (0.0, f64::MAX)),
        wall: reader.duration_or(fields, "wall", usual.wall),
        no_progress: reader.duration_or(fields, "no_progress", usual.no_progress),
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
