//! Plans of edits, trash, undo and changes of the schema at random, seed by seed: after each step exactly the
//! values that living items have in unique columns are held.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::db::unheld;

/// Few values, of which some compare as one.
const TEXTS: [&str; 5] = ["a", "A", "b", "ß", "É"];
const NUMBERS: [&str; 4] = ["1", "1.50", "1.5", "-2e3"];

fn values(rng: &mut StdRng) -> Value {
    let text = TEXTS.choose(rng).unwrap();
    let number: Value = serde_json::from_str(NUMBERS.choose(rng).unwrap()).unwrap();
    match rng.random_range(0..5) {
        0 => json!({"Text": null}),
        1 => json!({"Number": null, "Text": text}),
        2 => json!({"Number": number}),
        _ => json!({"Number": number, "Text": text}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_plan_exactly_the_living_values_are_held() {
    for seed in 1..=3 {
        let app = TestApp::new().await;
        let owner = app.person("owner").await;
        let workspace = owner.workspace().await;
        let list = owner
            .list(&workspace, &[("Text", "text"), ("Number", "number")])
            .await;
        let mut rng = StdRng::seed_from_u64(seed);
        let mut items: Vec<String> = Vec::new();
        let mut effects = 0;
        for step in 0..90 {
            let column = ["Text", "Number"].choose(&mut rng).unwrap();
            let column = format!("{list}/columns/{column}");
            let item = items.choose(&mut rng).cloned();
            let path = item.map(|item| format!("{list}/items/{item}"));
            let path = path.unwrap_or_else(|| list.clone());
            let answer = match rng.random_range(0..18) {
                0 => owner.patch(&column, json!({"unique": true})).await,
                1 if step % 3 == 0 => owner.patch(&column, json!({"unique": false})).await,
                2 => owner.delete(&column).await,
                1 | 3 => owner.post(&format!("{column}/restore"), json!({})).await,
                4 => owner.delete(&path).await,
                5 => owner.post(&format!("{path}/restore"), json!({})).await,
                6 => owner.post(&format!("{workspace}/undo"), json!({})).await,
                7 => owner.post(&format!("{workspace}/redo"), json!({})).await,
                8 => {
                    let seq = rng.random_range(2..=owner.seq(&workspace).await);
                    owner
                        .post(&format!("{list}/restore-to"), json!({"seq": seq}))
                        .await
                }
                14 => {
                    let ty = ["text", "number", "long_text"].choose(&mut rng).unwrap();
                    owner
                        .patch(&column, json!({"type": ty, "on_loss": "clear"}))
                        .await
                }
                9 | 10 => {
                    owner
                        .patch(&path, json!({"values": values(&mut rng)}))
                        .await
                }
                _ => {
                    let new = json!({"values": values(&mut rng)});
                    let made = owner.post(&format!("{list}/items"), new).await;
                    items.extend(made.body["id"].as_str().map(str::to_owned));
                    made
                }
            };
            assert!(
                answer.status.as_u16() < 500,
                "seed {seed}, step {step}: {}",
                answer.text
            );
            effects += u32::from(answer.status.is_success());
            assert_eq!(
                unheld(&app.db).await,
                0,
                "seed {seed}, step {step}: {}",
                answer.text
            );
        }
        assert!(effects > 20, "seed {seed}: {effects}");
        owner.verified(&workspace).await;
    }
}
