//! `run`: how the runs of an agent are treated.

use super::super::Run;
use super::super::fields::Place;
use super::super::grammar::RUN;
use super::super::reader::{Fields, Reader};

pub(super) fn run(reader: &mut Reader<'_>, root: &Fields<'_>) -> Run {
    let mut run = Run::default();
    let Some(node) = root.get("run") else { return run };
    reader.hold(node, "run", &RUN);
    let Some(fields) = reader.any_fields(node, "run") else { return run };
    reader.refuse_strangers(&fields, Place::Run);
    if let Some(durable) = reader.word(&fields, "durable", &[("steps", true), ("off", false)]) {
        run.durable = durable;
    }
    run
}
