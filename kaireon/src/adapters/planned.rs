//! Backends that the family's documentation names and this release does not have yet: known values, so that they
//! are answered as such and not as misspelt.

use kaireon_core::search::SearchIndex;
use kaireon_core::{EventPublisher, InteractionStore};

use super::{Adapter, Connect, Variable};

const DATABASE: &[Variable] = &[Variable::DatabaseUrl];

const REDIS: &[Variable] = &[Variable::RedisUrl];

const fn planned<T: ?Sized + 'static>(
    names: &'static [&'static str],
    feature: &'static str,
    needs: &'static [Variable],
    offered_by: Option<Variable>,
) -> Adapter<T> {
    Adapter {
        names,
        needs,
        stand_in: None,
        offered_by,
        check: |_| Vec::new(),
        place: |_| String::new(),
        shared: false,
        tables: None,
        connect: Connect::Planned { feature },
    }
}

pub(super) static DYNAMODB_STORE: Adapter<dyn InteractionStore> =
    planned(&["dynamodb"], "dynamodb", &[], None);
pub(super) static SCYLLA_STORE: Adapter<dyn InteractionStore> =
    planned(&["scylla", "scylladb"], "scylla", &[], None);
pub(super) static CASSANDRA_STORE: Adapter<dyn InteractionStore> =
    planned(&["cassandra"], "cassandra", &[], None);
pub(super) static KEYSPACES_STORE: Adapter<dyn InteractionStore> =
    planned(&["keyspaces", "aws_keyspaces"], "keyspaces", &[], None);

pub(super) static REDIS_STREAMS_PUBLISHER: Adapter<dyn EventPublisher> =
    planned(&["redis-streams", "redis_streams"], "redis", REDIS, None);
pub(super) static KAFKA_PUBLISHER: Adapter<dyn EventPublisher> =
    planned(&["kafka", "redpanda", "msk", "aws_msk"], "kafka", &[], None);
pub(super) static KINESIS_PUBLISHER: Adapter<dyn EventPublisher> =
    planned(&["kinesis"], "kinesis", &[], None);
pub(super) static EVENTBRIDGE_PUBLISHER: Adapter<dyn EventPublisher> =
    planned(&["eventbridge"], "eventbridge", &[], None);

pub(super) static POSTGRES_SEARCH: Adapter<dyn SearchIndex> = planned(
    &["pg", "postgresql", "postgres"],
    "postgres",
    DATABASE,
    Some(Variable::DatabaseUrl),
);
pub(super) static TANTIVY_SEARCH: Adapter<dyn SearchIndex> = planned(&["tantivy"], "tantivy", &[], None);
pub(super) static OPENSEARCH_SEARCH: Adapter<dyn SearchIndex> =
    planned(&["opensearch"], "opensearch", &[], None);
