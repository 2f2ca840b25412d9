//! What a forward pass costs, counted from its plan.

use crate::adapter::Projection;
use crate::config::ModelConfig;
use crate::plan::Plan;

impl Plan {
    /// Floating-point operations of the matrix products that [`Model::log_probs`](crate::Model::log_probs) needs for
    /// this plan on a model of this shape, a multiplication and an addition counted as two.
    ///
    /// Per layer, for `n` tokens of which `r` are read, `p` pairs of a token and a token it sees, and `m` positions with
    /// logits (`r = n` in all layers but the last, where `r = m`): `2 n` for each weight of the maps to queries, keys and
    /// values, `2 r` for each of the others, and `4 p` for each number of the queries of a token. Windows are not
    /// taken off.
    ///
    /// Then `2 m e V` for the logits over `V` tokens of width `e`, and the projections of opt-350m. Norms,
    /// activations and softmaxes are not counted.
    pub fn flops(&self, config: &ModelConfig) -> u64 {
        let product = |[width_in, width_out]: [usize; 2]| 2 * (width_in * width_out) as u64;
        let [before, after] =
            config
                .projections()
                .into_iter()
                .fold([0, 0], |[before, after], (which, widths)| match which {
                    Projection::QProj | Projection::KProj | Projection::VProj => {
                        [before + product(widths), after]
                    }
                    _ => [before, after + product(widths)],
                });
        let (hidden, width) = (config.hidden_size, config.table_width());
        let queries = (config.num_attention_heads * config.head_dim) as u64;
        let layers = config.num_hidden_layers as u64;
        let tokens = self.packing.len() as u64;
        let positions = self.logit_tokens.len() as u64;
        let pairs: u64 = self
            .packing
            .rows
            .iter()
            .flat_map(|row| &row.segments)
            .map(|segment| {
                let [own, context] = [&segment.tokens, &segment.context].map(|t| t.len() as u64);
                own * context + own * (own + 1) / 2
            })
            .sum();
        let layer = |read: u64| before * tokens + after * read;
        let projections = match hidden == width {
            true => 0,
            false => (tokens + positions) * product([hidden, width]),
        };
        (layers - 1) * layer(tokens)
            + layer(positions)
            + layers * 4 * pairs * queries
            + projections
            + positions * product([width, config.vocab_size])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sequence, Sharing};

    /// By hand, for two options that branch after two tokens: four tokens are run (the shared two, and one more
    /// of each option, whose last token is only predicted).
    #[test]
    fn counts_every_product_once() {
        let config = ModelConfig::from_json(
            r#"{"vocab_size": 11, "hidden_size": 2, "num_hidden_layers": 2, "num_attention_heads": 1,
                "ffn_dim": 3, "max_position_embeddings": 8}"#,
        )
        .expect("a valid shape");
        let (a, b) = ([2, 3, 4, 5], [2, 3, 6, 5]);
        let option = |ids| Sequence { ids, scored: 1 };
        let plan =
            Plan::new(&[vec![option(&a), option(&b)]], Sharing::Prefix).expect("valid sequences");
        // the prompt sees 1 + 2 tokens, each tail the prompt and itself
        let pairs = (1 + 2) + 2 * (2 + 1);
        let first = 4 * (6 * 4 + 2 * 4 + 4 * 2 * 3);
        let last = 4 * 6 * 4 + 2 * (2 * 4 + 4 * 2 * 3);
        let logits = 2 * 2 * 2 * 11;
        assert_eq!(plan.stats().tokens, 4);
        assert_eq!(
            plan.flops(&config),
            first + last + 2 * 4 * pairs * 2 + logits
        );
    }
}
