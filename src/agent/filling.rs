//! What of a template can never be filled in, whatever it is given: filters, tests and methods that there are none of,
//! other templates. The engine looks for them when it comes to them; its instructions name them before.

use minijinja::machinery::{Instruction, Instructions, get_compiled_template};
use minijinja::{Environment, Error, ErrorKind};

/// Something that ends every filling in that comes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// In bytes of the template, if it is known.
    pub(super) at: Option<usize>,
    pub(super) message: String,
}

/// Everything of the template that cannot be filled in, in its order. Of what it sees, nothing can be called.
pub(super) fn faults(template: &str, sees: &[&str]) -> Result<Vec<Fault>, Error> {
    let environment = Environment::new();
    let template = environment.template_from_str(template)?;
    let given = template.undeclared_variables(false);
    let compiled = get_compiled_template(&template);
    let parts: Vec<&Instructions<'_>> =
        std::iter::once(&compiled.instructions).chain(compiled.blocks.values()).collect();
    let judge = Judge {
        environment: &environment,
        has_functions: parts.iter().any(|part| instructions(part).any(|(_, it)| makes_function(it, &environment))),
        is_given: &|name| sees.contains(&name) && given.contains(name),
    };
    let mut faults: Vec<Fault> = Vec::new();
    for part in parts {
        for (index, instruction) in instructions(part) {
            if let Some(message) = judge.fault(instruction) {
                let at = part.get_span(index).map(|span| span.start_offset as usize);
                faults.push(Fault { at, message });
            }
        }
    }
    faults.sort_by_key(|fault| fault.at);
    Ok(faults)
}

fn instructions<'i, 's>(part: &'i Instructions<'s>) -> impl Iterator<Item = (u32, &'i Instruction<'s>)> {
    (0..).map_while(|index| Some((index, part.get(index)?)))
}

/// Whether a value can be a function from here on: a macro, or a function that is named and not called.
fn makes_function(instruction: &Instruction<'_>, environment: &Environment<'_>) -> bool {
    match instruction {
        Instruction::BuildMacro(..) => true,
        Instruction::Lookup(name) => environment.globals().any(|(global, _)| global == *name),
        _ => false,
    }
}

struct Judge<'j> {
    environment: &'j Environment<'j>,
    has_functions: bool,
    is_given: &'j dyn Fn(&str) -> bool,
}

impl Judge<'_> {
    fn fault(&self, instruction: &Instruction<'_>) -> Option<String> {
        match instruction {
            Instruction::ApplyFilter(name, ..) => self.lacks_filter(name).then(|| format!("unknown filter `{name}`")),
            Instruction::PerformTest(name, ..) => self.lacks_test(name).then(|| format!("unknown test `{name}`")),
            Instruction::CallFunction(name, _) if (self.is_given)(name) => {
                Some(format!("`{name}` is a value and no function"))
            }
            // What a loop knows of itself.
            Instruction::CallMethod("cycle" | "changed", _) => None,
            Instruction::CallMethod(name, _) if !self.has_functions => {
                Some(format!("unknown method `{name}`: values have none, filters do such things (`value|upper`)"))
            }
            Instruction::CallObject(_) if !self.has_functions => {
                Some("a value is called that is no function".to_owned())
            }
            Instruction::Include(false) | Instruction::LoadBlocks => Some("there are no other templates".to_owned()),
            _ => None,
        }
    }

    fn lacks_filter(&self, name: &str) -> bool {
        let tried = self.environment.empty_state().apply_filter(&without_spaces(name), &[]);
        tried.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter)
    }

    fn lacks_test(&self, name: &str) -> bool {
        let tried = self.environment.empty_state().perform_test(&without_spaces(name), &[]);
        tried.is_err_and(|error| error.kind() == ErrorKind::UnknownTest)
    }
}

/// As the engine looks names up.
fn without_spaces(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: &[(usize, &str)]) {
        let found = faults(template, &["state", "thread"]).expect("a template");
        let found: Vec<(usize, &str)> =
            found.iter().map(|fault| (fault.at.expect("a place"), fault.message.as_str())).collect();
        assert_eq!(found.len(), expected.len(), "{template}: {found:?}");
        for ((at, message), (expected_at, beginning)) in found.iter().zip(expected) {
            assert!(at == expected_at && message.starts_with(beginning), "{template}: {found:?}");
        }
    }

    #[test]
    fn what_there_is_none_of_is_told_where_it_stands() {
        check("é {{ state.a | frob }}", &[(16, "unknown filter `frob`")]);
        check(
            "{{ state|upper|nope(1) }}{% filter gone %}x{% endfilter %}",
            &[(15, "unknown filter `nope`"), (35, "unknown filter `gone`")],
        );
        check("{% if state.a is odder %}{% endif %}", &[(17, "unknown test `odder`")]);
        check("{{ thread.foo() }}", &[(9, "unknown method `foo`")]);
        check(
            "{% for x in state %}{{ x.a.items() }}{{ loop.skip() }}{% endfor %}",
            &[(26, "unknown method `items`"), (44, "unknown method `skip`")],
        );
        check("{{ thread() }}", &[(3, "`thread` is a value")]);
        check("{{ state['a']() }}", &[(8, "a value is called")]);
        check("{% include 'x' %}", &[(3, "there are no other templates")]);
        check("{% extends 'x' %}", &[(3, "there are no other templates")]);
        check("{% import 'x' as y %}", &[(3, "there are no other templates")]);
        check("{% from 'x' import y %}", &[(3, "there are no other templates")]);
        check("{% block a %}{{ 1|frob }}{% endblock %}", &[(18, "unknown filter `frob`")]);
    }

    #[test]
    fn what_may_be_filled_in_is_left_alone() {
        for template in [
            "{{ state.a | default('x') | upper }}{{ state|tojson }}{{ state.list|join(', ') }}{{ 3 is divisibleby 2 }}",
            "{% if state.a is defined and state.b is not none and 1 is in [1] %}x{% endif %}",
            "{% for x in range(3) %}{{ loop.cycle('a', 'b') }}{% if loop.changed(x) %}{% endif %}{% endfor %}",
            "{% for x in state recursive %}{{ loop(x) }}{% endfor %}",
            "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}{% set ns = namespace(f=m) %}{{ ns.f(2) }}",
            "{% set d = dict(r=range) %}{{ d.r(3) }}",
            "{% macro thread() %}{% endmacro %}{{ thread() }}",
            "{% include 'x' ignore missing %}{% block a %}{{ state }}{% endblock %}",
        ] {
            check(template, &[]);
        }
    }
}
