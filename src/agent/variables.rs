//! Which variables a template names, each with the members it asks of it: `state.user.name` is also written `state["user"]["name"]`.

use minijinja::{Environment, Error};

/// How the members are called, while they are looked for, that are no names.
const STAND_IN: &str = "member__";
/// Words behind which a bracket begins a list.
const BEFORE_LISTS: [&str; 6] = ["in", "and", "or", "not", "if", "else"];
/// Whether the engine knows it by itself.
pub(super) fn is_built_in(name: &str) -> bool {
    Environment::new().globals().any(|(known, _)| known == name)
}

/// Every variable that the template does not set itself, in order: its name, then the members that are known before it is
/// filled in.
pub(super) fn variables(environment: &Environment<'_>, template: &str) -> Result<Vec<Vec<String>>, Error> {
    let (dotted, members) = dotted(template);
    // Should that be no template any more, the words of this one are all there is.
    let found = environment.template_from_str(&dotted).or_else(|_| environment.template_from_str(template))?;
    let mut variables: Vec<Vec<String>> = found
        .undeclared_variables(true)
        .iter()
        .map(|variable| variable.split('.').map(|name| original(name, &members)).collect())
        .collect();
    variables.sort();
    variables.dedup();
    Ok(variables)
}

/// Where the template first names this variable with these members, in bytes.
pub(super) fn place(template: &str, variable: &[String]) -> Option<usize> {
    let (root, members) = variable.split_first()?;
    let stands_alone = |at: &usize| !template[..*at].ends_with(|c: char| is_of_a_name(c) || c == '.');
    template.match_indices(root.as_str()).map(|(at, _)| at).filter(stands_alone).find(|at| {
        let mut rest = &template[at + root.len()..];
        !rest.starts_with(is_of_a_name)
            && members.iter().all(|wanted| match member(rest) {
                Some((found, after)) => {
                    rest = after;
                    found == wanted
                }
                None => false,
            })
    })
}

/// The template with every subscript that is known as `.member`, which is all that the engine tells of a variable.
fn dotted(template: &str) -> (String, Vec<&str>) {
    let (mut dotted, mut members) = (String::new(), Vec::new());
    let mut rest = template;
    while let Some(at) = rest.find('[') {
        let (before, subscript) = rest.split_at(at);
        dotted.push_str(before);
        let word = dotted.rsplit(|c| !is_of_a_name(c)).next().unwrap_or_default();
        let is_of_a_value = dotted.ends_with([']', ')']) || !(word.is_empty() || BEFORE_LISTS.contains(&word));
        match member(subscript) {
            Some((name, after)) if is_of_a_value => {
                dotted.push_str(&format!(".{STAND_IN}{}", members.len()));
                members.push(name);
                rest = after;
            }
            Some(_) | None => {
                dotted.push('[');
                rest = &subscript[1..];
            }
        }
    }
    dotted.push_str(rest);
    (dotted, members)
}

fn original(name: &str, members: &[&str]) -> String {
    let member = name.strip_prefix(STAND_IN).and_then(|index| members.get(index.parse::<usize>().ok()?));
    member.map_or_else(|| name.to_owned(), |&member| member.to_owned())
}

/// The member that stands at the beginning of `text`, as `.name`, `["name"]` or `[0]`, and what follows it.
fn member(text: &str) -> Option<(&str, &str)> {
    if let Some(name) = text.strip_prefix('.') {
        let end = name.find(|c| !is_of_a_name(c)).unwrap_or(name.len());
        return (end > 0).then(|| name.split_at(end));
    }
    let inner = text.strip_prefix('[')?.trim_start();
    let (name, after) = match inner.chars().next()? {
        quote @ ('"' | '\'') => inner[1..].split_once(quote)?,
        _ => inner.split_at(inner.find(|c: char| !c.is_ascii_digit())?),
    };
    let after = after.trim_start().strip_prefix(']')?;
    (!name.is_empty() && !name.contains('\\')).then_some((name, after))
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: &[&str]) {
        let found = variables(&Environment::new(), template).expect("a template");
        let found: Vec<String> = found.iter().map(|variable| variable.join("/")).collect();
        assert_eq!(found, expected, "{template}");
    }

    #[test]
    fn members_are_found_however_they_are_written() {
        check("{{ state.trip.days }}", &["state/trip/days"]);
        check(r#"{{ state["trip"]['days'] }} {{ state.trip["days"] }}"#, &["state/trip/days"]);
        check(r#"{{ state [ "a" ] }}"#, &["state"]);
        check(r#"{{ state["first name"] }}{{ state["a-b"][0].c }}"#, &["state/a-b/0/c", "state/first name"]);
        check("{{ state.days[0]['town'] }}", &["state/days/0/town"]);
        check("{% for day in state['days'] %}{{ day['town'] }}{% endfor %}", &["state/days"]);
        check("{{ props['tone']|default('x') }}", &["props/tone"]);
    }

    #[test]
    fn what_is_only_known_when_the_template_is_filled_in_names_what_stands_before_it() {
        check("{{ state.days[n] }}", &["n", "state/days"]);
        check("{{ state['days'][n].town }}", &["n", "state/days"]);
        check("{{ state.days[1:2] }}{{ state.days[-1] }}", &["state/days"]);
    }

    #[test]
    fn lists_are_no_subscripts() {
        check("{{ x in ['a'] }}", &["x"]);
        check("{{ x in['a'] or['b'] and state['c'] }}", &["state/c", "x"]);
        check("{{ ['a', y['b']] }}", &["y/b"]);
    }

    #[test]
    fn a_variable_is_found_where_it_stands() {
        let at = |template: &str, variable: &str| {
            place(template, &variable.split('/').map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(at("{{ my_state.a }} {{ x.state.a }} {{ state.ab }} {{ state.a }}", "state/a"), Some(51));
        assert_eq!(at("{{ stated }} {{ state['a'] }}", "state/a"), Some(16));
        assert_eq!(at("{{ state }}", "state/a"), None);
        assert_eq!(at("{{ users }} {{ usr }} {{ user }}", "user"), Some(25));
    }
}
