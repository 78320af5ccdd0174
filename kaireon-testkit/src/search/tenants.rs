//! No answer holds, counts or marks anything of another tenant.

use kaireon_core::TenantId;
use kaireon_core::search::{
    DeleteScope, Deletion, Document, DocumentId, Facet, FacetCounts, Keyword, SearchQuery, TextMode,
};

use super::SearchFixture;
use super::world::{Need, World, check_total, field, ids, kind, tenant};

/// Two tenants with the same kind of documents: `a-1`, `a-2` of the first, `b-1`, `b-2`, `b-3` of the second.
async fn neighbours<'f>(fixture: &'f dyn SearchFixture) -> (World<'f>, TenantId) {
    let world = World::open(fixture).await;
    let other = world.neighbour();
    let of = |owner: &TenantId, id: &str| {
        Document::builder(owner, "offer", id)
            .title("shoe")
            .keyword("brand", id)
    };
    let mut documents = vec![of(&world.tenant, "a-1"), of(&world.tenant, "a-2")];
    documents.extend(["b-1", "b-2", "b-3"].map(|id| of(&other, id).body("secret")));
    world.put(documents).await;
    (world, other)
}

fn of(query: SearchQuery, tenant: &TenantId) -> SearchQuery {
    SearchQuery {
        tenant: tenant.clone(),
        ..query
    }
}

/// With text and without.
pub async fn a_search_finds_what_is_its_tenants(fixture: &dyn SearchFixture) {
    let (world, other) = neighbours(fixture).await;
    let shoe = world.text("shoe", TextMode::AllWords);
    for query in [world.query(), shoe] {
        world.finds(query.clone(), &["a-1", "a-2"]).await;
        world
            .finds(of(query.clone(), &other), &["b-1", "b-2", "b-3"])
            .await;
        world.finds(of(query, &tenant("nobody")), &[]).await;
    }
}

/// The text cannot name another tenant, end the filter or widen it.
pub async fn text_reaches_no_other_tenant(fixture: &dyn SearchFixture) {
    let (world, other) = neighbours(fixture).await;
    let texts = [
        "secret".to_owned(),
        "shoe secret".to_owned(),
        other.to_string(),
        format!("tenant:{other}"),
        format!("shoe OR tenant:\"{other}\""),
        format!("shoe') OR tenant = '{other}' --"),
        format!("shoe\" OR \"tenant\":\"{other}"),
        "shoe OR *:*".to_owned(),
        "* OR secret".to_owned(),
    ];
    for text in texts {
        for mode in [
            TextMode::AllWords,
            TextMode::AnyWord,
            TextMode::Phrase,
            TextMode::Prefix,
        ] {
            let found = world.found(world.text(&text, mode)).await;
            assert!(
                found.iter().all(|id| id.starts_with('a')),
                "{text:?} as {mode:?} found {found:?}"
            );
        }
    }
}

/// Counts are answers too.
pub async fn totals_and_facets_count_one_tenant(fixture: &dyn SearchFixture) {
    let (world, _) = neighbours(fixture).await;
    let results = world
        .search(SearchQuery {
            limit: 1,
            ..world.query()
        })
        .await;
    check_total(results.total, 2);
    if !world.can(Need::Facets).await {
        return;
    }
    let brands = Facet::Terms {
        field: field("brand"),
        limit: 10,
    };
    let results = world.search(world.query().with_facet(brands)).await;
    let expected = ["a-1", "a-2"].map(|value| (Keyword::new(value).unwrap(), 1));
    assert_eq!(results.facets, [FacetCounts::Terms(expected.to_vec())]);
}

/// The tenant is part of the key: of the version as well.
pub async fn one_key_in_two_tenants_is_two_documents(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let other = world.neighbour();
    world
        .put([Document::builder(&other, "offer", "1").title("hat").version(9)])
        .await;
    world.put([world.doc("1").title("shoe").version(1)]).await;
    world.words_find("shoe", &["1"]).await;
    world
        .finds(of(world.text("hat", TextMode::AllWords), &other), &["1"])
        .await;
    world.words_find("hat", &[]).await;
}

/// A tenant is compared byte by byte.
pub async fn tenants_that_look_alike_are_different_tenants(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    let base = world.tenant.as_str();
    let alike =
        ["", "x", "X", " x", "-x", "*", "%", "_", "é", "e\u{301}"].map(|end| tenant(&format!("{base}{end}")));
    let documents = alike.iter().enumerate();
    world
        .put(documents.map(|(n, owner)| Document::builder(owner, "offer", n.to_string()).title("shoe")))
        .await;
    for (n, owner) in alike.iter().enumerate() {
        world
            .finds(
                of(world.text("shoe", TextMode::AllWords), owner),
                &[&n.to_string()],
            )
            .await;
    }
}

/// A cursor belongs to its tenant.
pub async fn a_cursor_of_another_tenant_is_refused(fixture: &dyn SearchFixture) {
    let (world, other) = neighbours(fixture).await;
    let first = SearchQuery {
        limit: 1,
        ..of(world.query(), &other)
    };
    let results = world.search(first).await;
    assert_eq!(ids(&results.hits), ["b-1"]);
    let next = SearchQuery {
        cursor: results.next,
        ..world.query()
    };
    world.refuses(next, "cursor").await;
}

/// By id, by kind and by tenant.
pub async fn deleting_leaves_other_tenants_alone(fixture: &dyn SearchFixture) {
    let (world, other) = neighbours(fixture).await;
    let ids = ["b-1", "b-2", "a-1"]
        .map(|id| DocumentId::new(id).unwrap())
        .to_vec();
    let scopes = [
        (
            DeleteScope::Ids {
                kind: kind("offer"),
                ids,
            },
            1,
            &["a-2"][..],
        ),
        (DeleteScope::Kind(kind("offer")), 1, &[]),
        (DeleteScope::Tenant, 0, &[]),
    ];
    for (scope, count, left) in scopes {
        let tenant = world.tenant.clone();
        assert_eq!(
            world.index.delete(Deletion { tenant, scope }).await.unwrap(),
            count
        );
        world.refresh().await;
        world.finds(world.query(), left).await;
        world
            .finds(of(world.query(), &other), &["b-1", "b-2", "b-3"])
            .await;
    }
}

/// A customer id belongs to its tenant.
pub async fn erasing_leaves_other_tenants_alone(fixture: &dyn SearchFixture) {
    let world = World::open(fixture).await;
    if !world.can(Need::Erasure).await {
        return;
    }
    let (other, anna) = (world.neighbour(), world.customer("anna"));
    let theirs = Document::builder(&other, "note", "theirs").customer(anna.clone());
    world
        .put([world.doc("ours").customer(anna.clone()), theirs])
        .await;
    assert_eq!(world.index.erase_customer(&world.tenant, &anna).await.unwrap(), 1);
    world.finds(world.query(), &[]).await;
    world.finds(of(world.query(), &other), &["theirs"]).await;
}
