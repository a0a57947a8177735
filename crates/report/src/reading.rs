//! How to read the page: short, for a newcomer.

/// The HTML of the section.
pub fn section() -> &'static str {
    "<dl class=\"reading\">\
<dt>N, D, C</dt><dd>Parameters of the model, tokens it was trained on, and floating-point operations of the training. How N and C are counted is a choice that moves the exponents, so the rule is named beside the results.</dd>\
<dt>Loss</dt><dd>Mean negative log-likelihood of held-out text in nats per token; lower is better. Bits per byte (bpb) is the same in a unit that does not depend on the tokenizer.</dd>\
<dt>The law</dt><dd>A formula for the loss as a function of N and D. <i>E</i> is what no model of this kind gets below on this text; the other terms are what more parameters and more tokens still buy.</dd>\
<dt>N*, D*</dt><dd>The size and the amount of data with the lowest loss at a given compute. They grow as powers of C: N* as C to the power a, D* as C to the power b. Where C is counted exactly, a and b need not sum to 1: a larger model spends a smaller share of its FLOPs on what N does not count.</dd>\
<dt>Approaches</dt><dd>Three ways to the same optimum (Hoffmann et al. 2022): 1 takes the envelope of the learning curves, 2 fits a parabola at each budget, 3 fits the law to all runs. Where they disagree by more than the interval, more runs are needed before anything is extrapolated.</dd>\
<dt>Intervals</dt><dd>A number in brackets is an interval with a level, a method and a count of resamples: hover over it, or read the line below the results. At level 95 %, a sweep repeated many times would catch the true value about 95 times in 100, if the law has the right form. The interval says nothing of a wrong form: for that, look at the residuals.</dd>\
<dt>Bands</dt><dd>Where the law lies, not where a single new run would fall: a run also has its own noise.</dd>\
<dt>Beyond the largest run</dt><dd>Everything there is an extrapolation. Its band holds only if the same law goes on.</dd>\
</dl>"
}
