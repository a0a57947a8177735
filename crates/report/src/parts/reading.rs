//! How to read a report: its terms, short, for a newcomer.

/// Term and meaning.
pub const TERMS: [(&str, &str); 8] = [
    (
        "N, D, C",
        "Parameters of the model, tokens it was trained on, and floating-point operations of the training. How N and C are counted is a choice that moves the exponents, so the rule is named beside the results.",
    ),
    (
        "Loss",
        "Mean negative log-likelihood of held-out text in nats per token; lower is better. Bits per byte (bpb) is the same in a unit that does not depend on the tokenizer.",
    ),
    (
        "The law",
        "A formula for the loss as a function of N and D. E is the loss that no model of this kind can beat on this text; the other terms are what more parameters and more tokens still buy.",
    ),
    (
        "N*, D*",
        "The size and the amount of data with the lowest loss at a given compute. They grow as powers of C: N* as C to the power a, D* as C to the power b. Attention and embeddings make C grow slightly slower than N; the exponents account for it, so a and b need not sum to 1.",
    ),
    (
        "Approaches",
        "Three ways to the same optimum (Hoffmann et al. 2022): 1 takes the envelope of the learning curves, 2 fits a parabola at each budget, 3 fits the law to all runs. Where they disagree by more than the interval, more runs are needed before anything is extrapolated.",
    ),
    (
        "Intervals",
        "A number in brackets is an interval with a level, a method and a count of resamples: hover over it, or read the line below the results. At level 95 %, a sweep repeated many times would catch the true value about 95 times in 100, if the law has the right form. The interval does not cover a wrong form: for that, look at the residuals.",
    ),
    ("Bands", "Where the law lies, not where a single new run would fall: a run also has its own noise."),
    (
        "Beyond the largest run",
        "Everything there is an extrapolation. Its band holds only if the same law continues.",
    ),
];
