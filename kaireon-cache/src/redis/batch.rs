//! Several keys as few commands: what each command is about, and whose each part of its answer is.

use std::collections::HashMap;

use bytes::Bytes;

use super::places::Place;

/// The most keys of one command: the server does nothing else while it works on it.
const MOST_KEYS: usize = 1_000;

/// Keys that go into one command, and their places in the batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// The customer's key; `None`: each has its own.
    pub(super) customer: Option<Bytes>,
    /// The keys, or the names under the customer's.
    pub(super) members: Vec<Bytes>,
    pub(super) positions: Vec<usize>,
}

/// Puts keys together that one command may have: those of a customer, and `together` of those without one.
pub(super) fn groups(places: impl Iterator<Item = Place>, together: Together) -> Vec<Group> {
    let most_alone = match together {
        Together::Yes => MOST_KEYS,
        Together::No => 1,
    };
    let mut groups: Vec<Group> = Vec::new();
    // The group that takes the next one, of each customer.
    let mut open: HashMap<Option<Bytes>, usize> = HashMap::new();
    for (position, place) in places.enumerate() {
        let (customer, member, most) = match place {
            Place::Alone(key) => (None, key, most_alone),
            Place::OfCustomer { key, name } => (Some(key), name, MOST_KEYS),
        };
        let at = match open.get(&customer) {
            Some(&at) if groups[at].members.len() < most => at,
            _ => {
                groups.push(Group {
                    customer: customer.clone(),
                    ..Group::default()
                });
                open.insert(customer, groups.len() - 1);
                groups.len() - 1
            }
        };
        groups[at].members.push(member);
        groups[at].positions.push(position);
    }
    groups
}

/// Whether keys without a customer may stand in one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    Yes,
    /// They may lie on different nodes, or the command takes one.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(key: &'static str) -> Place {
        Place::Alone(Bytes::from_static(key.as_bytes()))
    }

    fn of(customer: &'static str, name: &'static str) -> Place {
        Place::OfCustomer {
            key: Bytes::from_static(customer.as_bytes()),
            name: Bytes::from_static(name.as_bytes()),
        }
    }

    fn positions(groups: &[Group]) -> Vec<&[usize]> {
        groups.iter().map(|group| &group.positions[..]).collect()
    }

    #[test]
    fn keys_go_together_as_far_as_they_may() {
        let places = || [alone("a"), of("x", "1"), alone("b"), of("y", "1"), of("x", "2")].into_iter();
        assert_eq!(
            positions(&groups(places(), Together::Yes)),
            [&[0, 2][..], &[1, 4], &[3]]
        );
        let apart = groups(places(), Together::No);
        assert_eq!(positions(&apart), [&[0][..], &[1, 4], &[2], &[3]]);
        assert_eq!(apart[1].members, ["1", "2"]);
    }

    #[test]
    fn no_command_has_more_keys_than_the_most() {
        let groups = groups((0..2_500).map(|_| alone("k")), Together::Yes);
        let sizes: Vec<_> = groups.iter().map(|group| group.members.len()).collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
    }
}
