//! Small pieces of CEL text. Knows the language's quoting and what the policies have in common; decides nothing.

use crate::api::names::GUARD_PROBE;

/// Kubernetes' own controllers that must get through for deletion to work: namespaces, garbage collection; the last name
/// is theirs where kube-controller-manager uses no ServiceAccounts.
const KUBERNETES: [&str; 3] = [
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:kube-controller-manager",
];

/// A string literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A list of string literals.
pub(super) fn list<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", values.into_iter().map(text).collect::<Vec<_>>().join(", "))
}

/// Whether the caller is one of these users.
pub(super) fn caller_in<'a>(users: impl IntoIterator<Item = &'a str>) -> String {
    format!("request.userInfo.username in {}", list(users))
}

/// Whether the caller is one of Kubernetes' own controllers.
pub(super) fn caller_is_kubernetes() -> String {
    caller_in(KUBERNETES)
}

/// Whether this does not make a guard probe of an object. A deletion has no new object; and an object that has the label
/// already, from a time without policies, must not be stuck with it.
pub(super) fn is_no_probe() -> String {
    let label = text(GUARD_PROBE);
    format!(
        "object == null || !({label} in object.metadata.?labels.orValue({{}})) ||
         (oldObject != null && {label} in oldObject.metadata.?labels.orValue({{}}))"
    )
}

/// Whether a map of the metadata, such as `labels`, is as it was.
pub(super) fn same_map(field: &str) -> String {
    format!("object.metadata.?{field}.orValue({{}}) == oldObject.metadata.?{field}.orValue({{}})")
}

/// Whether a list of the metadata, such as `finalizers`, is as it was.
pub(super) fn same_list(field: &str) -> String {
    format!("object.metadata.?{field}.orValue([]) == oldObject.metadata.?{field}.orValue([])")
}

/// How many characters the keys and values of a map hold together.
pub(super) fn characters(map: &str) -> String {
    format!("{map}.map(k, size(k) + size({map}[k])).sum()")
}

/// How many characters `metadata.managedFields` takes: as text, because CEL does not walk into it. The API server fills it
/// by what was written, and takes what else a client puts there.
pub(super) fn managed_fields(object: &str) -> String {
    format!("size('%s'.format([{object}.metadata.?managedFields.orValue([])]))")
}

/// An expression as it is written here over several lines, without the indentation.
pub(super) fn lines(expression: &str) -> String {
    expression.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_does_not_end_the_literal() {
        assert_eq!(text(r"o'neill\x"), r"'o\'neill\\x'");
        assert_eq!(list(["a", "b"]), "['a', 'b']");
    }
}
