//! A rule of an access list as text: the key of its fact.
//!
//! Owns: the form, a JSON array of the seven words of a rule. Does not own: the words (`guard`).

use systole_guard::{Operation, PatternType, Permission, ResourceType, Rule};

pub(crate) fn write(it: &Rule) -> String {
    let words = [
        it.resource.text(),
        it.pattern.text(),
        &it.name,
        &it.principal,
        &it.host,
        it.operation.text(),
        it.permission.text(),
    ];
    // An array of texts always has a JSON form.
    serde_json::to_string(&words).unwrap_or_default()
}

/// `None`: a later version wrote it.
pub(crate) fn read(text: &str) -> Option<Rule> {
    let [resource, pattern, name, principal, host, operation, permission]: [String; 7] =
        serde_json::from_str(text).ok()?;
    Some(Rule {
        resource: *ResourceType::ALL_WORDS.iter().find(|it| it.text() == resource)?,
        pattern: *PatternType::ALL_WORDS.iter().find(|it| it.text() == pattern)?,
        name,
        principal,
        host,
        operation: *Operation::ALL_WORDS.iter().find(|it| it.text() == operation)?,
        permission: *Permission::ALL_WORDS.iter().find(|it| it.text() == permission)?,
    })
}
