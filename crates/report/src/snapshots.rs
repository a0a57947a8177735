//! What is written of simulated sweeps, as it stands on a terminal of 80 columns and in Markdown.

use scalelaw_fit::{FitSpec, LawChoice, PredictAt};

use crate::testing::learning_rate::learning_rates;
use crate::testing::{input, refusal, refused, skills, sweep};
use crate::{SkillReport, markdown, terminal};

#[test]
fn a_fit() {
    let sweep = sweep::sweep(3, 5);
    insta::assert_snapshot!(terminal::scaling::text(Ok(sweep.fitted()), 80), @r#"
    quickstart: 13 rows of code and prose, weighted as trained, N and C counted as
      `exact`

    chinchilla: L = E + A/N^alpha + B/D^beta
      Parameter                               Value        Interval
      E                         0.81 nats per token    [0.66, 0.99]
      A                                        14.8    [10.4, 32.2]
      alpha                                   0.319  [0.273, 0.420]
      B                                        45.5     [19.4, 115]
      beta                                    0.323  [0.244, 0.406]
      Exponent of N*                          0.520  [0.418, 0.582]
      Exponent of D*                          0.514  [0.457, 0.610]
      N* at the largest budget                         [105K, 145K]
      Ten times the compute is best spent on 3.3 times the parameters (2.6 to 3.8)
        and 3.3 times the tokens (2.9 to 4.1).
      Law chinchilla fitted to 13 rows by log-huber:1e-3; the search converged; root
        mean square of the residuals 0.33 % of the loss. In brackets: 95 % interval,
        profile likelihood over independent rows, Fisher's F. Bands in the charts
        and the interval of the loss: percentiles of 400 bootstrap resamples. N and
        C counted by the rule `exact`; loss: code and prose, weighted as trained,
        nats per token.

    Best size at each budget
      Budget, FLOPs  Sizes  N*, parabola  N*, Akima  N*, law  Loss at N*
            3.00e11      5         42.9K      57.0K    41.1K      1.8287
            9.00e11      5         67.9K      56.8K    72.8K      1.6568
            2.70e12      3          126K  not known     129K      1.5194

    The frontier per approach
      Approach                          Exponent of N*, a     Exponent of D*, b
      3, fitted law (chinchilla)     0.520 [0.418, 0.582]  0.514 [0.457, 0.610]
      2, through the IsoFLOP minima  0.456 [0.357, 0.556]  0.571 [0.478, 0.664]
      Exponent of N*: 0.520 by the fitted law, 0.456 by the IsoFLOP minima; a
        difference of 0.064, inside the law's interval.
      N* at 2.70e12 FLOPs: 129K by the fitted law, 115K by the IsoFLOP minima; a
        factor of 1.12, inside the law's interval.

    1 row excluded
      - d2636ec65da6: diverged at step 412
    "#);
}

#[test]
fn a_refusal() {
    insta::assert_snapshot!(terminal::scaling::text(refused(&refusal()), 80), @r#"
    no law: 2 distinct runs cannot identify the 5 parameters of `chinchilla`
    what would settle it:
      - add runs at 5 or more other sizes or token counts
    "#);
}

#[test]
fn skills_and_a_question_that_is_not_answered() {
    let simulated = skills::simulate(150, "");
    let report = simulated.report();
    let shown =
        SkillReport { conclusion: report.conclusion, absent: report.absent, ..SkillReport::default() };
    insta::assert_snapshot!(terminal::skills::text(&shown, 80), @r#"
    WHAT EACH SKILL WANTS MORE OF
    At the same compute, lookup and biographies do best with a larger model and less
      data than the aggregate, `all, as trained`. At the same compute, arithmetic
      does best with a smaller model and more data than the aggregate, `all, as
      trained`. Undecided: programs.

    Labels
      Skill        Label              N* /   Interval of the     p,           By the
                                        N*             label   Holm        parabolas
      lookup       capacity-hungry    1.54   [1.43, 1.72] at  0.027             1.54
                                                     98.75 %            [1.44, 1.66]
        by the fitted laws: the interval of the ratio lies above 1
      arithmetic   data-hungry       0.551    [0.519, 0.583]  0.027            0.545
                                                  at 98.33 %          [0.497, 0.578]
        by the fitted laws: the interval of the ratio lies below 1
      programs     undecided          1.02  [0.953, 1.10] at   0.58             1.03
                                                        95 %           [0.981, 1.09]
        by the fitted laws: the interval of the ratio contains 1
      biographies  capacity-hungry  ≥ 4.89   [4.50, 5.17] at  0.027           ≥ 4.93
                                                      97.5 %            [4.64, 5.11]
        by the fitted laws: the interval of the ratio lies above 1
      N*/N*: the skill's best size over the aggregate's, averaged over the budgets
        as a logarithm. A sign of at least or at most stands where an optimum lies
        at or beyond the edge of the sizes. p is adjusted by Holm's procedure and
        not resolved below one over the draws.

    Best size of each text at each budget
          Budget,        N*, fitted law          N*, parabola   D* there  Loss there
            FLOPs
      all, as trained
          1.00e12  40.7K [38.4K, 43.9K]  42.1K [38.7K, 48.2K]      4.09M      2.6638
          3.00e12  72.0K [69.0K, 76.4K]  66.8K [63.0K, 71.0K]      6.95M      2.4021
          9.00e12     127K [118K, 137K]     124K [117K, 132K]      11.8M      2.1885
          2.70e13     225K [200K, 248K]     232K [200K, 273K]      20.0M      2.0141
      lookup
          1.00e12  63.3K [57.3K, 72.7K]  67.0K [58.5K, 85.5K]      2.63M      2.5401
          3.00e12     111K [104K, 121K]    101K [94.2K, 112K]      4.50M      2.2253
          9.00e12     195K [185K, 208K]     179K [163K, 205K]      7.68M      1.9672
          2.70e13     343K [312K, 375K]     375K [323K, 458K]      13.1M      1.7553
      arithmetic
          1.00e12  23.0K [20.8K, 25.5K]  24.4K [21.2K, 27.8K]      7.24M      2.4014
          3.00e12  40.0K [37.7K, 42.7K]  32.9K [29.2K, 35.3K]      12.5M      2.0851
          9.00e12  69.5K [65.1K, 75.7K]  78.6K [74.5K, 83.9K]      21.6M      1.8260
          2.70e13     121K [109K, 135K]    114K [78.8K, 141K]      37.2M      1.6139
      programs
          1.00e12  43.4K [39.9K, 47.5K]  46.5K [41.4K, 55.6K]      3.84M      2.0707
          3.00e12  74.6K [70.3K, 78.6K]  67.0K [61.2K, 72.6K]      6.71M      1.7904
          9.00e12     128K [119K, 137K]     126K [114K, 140K]      11.7M      1.5626
          2.70e13     221K [197K, 245K]     237K [215K, 256K]      20.4M      1.3775
      biographies
          1.00e12   at the largest size   at the largest size  not known   not known
          3.00e12   at the largest size   at the largest size  not known   not known
          9.00e12   at the largest size   at the largest size  not known   not known
          2.70e13   at the largest size   at the largest size  not known   not known
      N in parameters, D in tokens, loss in nats per token; 95 % intervals. Sizes
        trained: 8.17K to 205K at 1.00e12, 14.2K to 356K at 3.00e12, 24.5K to 616K
        at 9.00e12, 42.5K to 1.07M at 2.70e13. An end of an interval that equals the
        smallest or the largest size is open.

      - Rule of the labels: capacity-hungry where the interval of N*(skill) /
        N*(aggregate), the geometric mean over the budgets, lies above 1;
        data-hungry where it lies below; undecided otherwise, and where the law and
        the parabolas contradict each other. By the fitted law, by the parabolas
        where a law is missing. Holm's procedure holds the chance of any wrong label
        below 5 %: the interval that decides is taken at the level that it gives the
        skill.
      - Every skill is compared with `all, as trained`. Intervals come from 150
        draws of the runs' noise, the same for all texts; those of the parabolas
        include noise, but not the bias of a parabola where the sizes are off the
        optimum or alpha and beta differ.

    QUESTIONS ABOUT SKILLS THAT THESE RUNS CANNOT ANSWER

      - viable: sums: no loss of its range reaches an accuracy of 0.9
    "#);
}

#[test]
fn learning_rates_of_an_lr_sweep() {
    let found = learning_rates(&sweep::sweep(3, 5));
    insta::assert_snapshot!(terminal::learning_rate::text(&found, 80), @r#"
    simulated

    Best learning rate of each size
              N,      D,  Batch,  beta2    Best     Interval       Loss  Curvature
      parameters  tokens  tokens           rate                   there
           67.9K    625K   1.02K   0.95    none  not bounded  not known  not known
        Best rate: the largest rate, 2.46e-2, is the best: the minimum lies at the
          grid's edge
            117K    375K   1.02K   0.95  0.0101  not bounded     2.5000      0.020
      N counts every parameter. Curvature c: a rate r times the best one costs
        c·ln(r)² of log loss. Noise of the loss about the quadratics: 0.00 %.

    The rule
      Quantity                                       Value                Interval
      Best rate at the reference                    0.0101       [0.00972, 0.0106]
      Cost in loss of twice or half the best rate   0.97 %
      beta2 at a batch of 1.02K tokens             0.95000  as given, not compared
      Through 1 optimum, which it misses by 0.0 % (root mean square). Reference: N
        117K, D 375K, batch 1.02K tokens. Intervals: 95 %, errors of the optima,
        Student's t with 2 degrees of freedom. At other batches beta2 keeps its
        half-life in tokens. The rule is `lr-rule.toml` in the sweep's folder; a
        sweep uses it with `train.lr-rule`.
    "#);
}

#[test]
fn a_page() {
    let sweep = sweep::sweep(3, 5);
    insta::assert_snapshot!(markdown(&input(&sweep, Ok(sweep.fitted()))), @r#"
    # Scaling report: quickstart

    How should compute be split between parameters and tokens for small byte-level models of code and prose?

    ## What came out

    **Ten times the compute is best spent on 3.3 times the parameters (2.6 to 3.8) and 3.3 times the tokens (2.9 to 4.1).**

    `L = E + A/N^alpha + B/D^beta`

    | Parameter | Value | Interval |
    | --- | --- | --- |
    | E | 0.81 nats per token | [0.66, 0.99] |
    | A | 14.8 | [10.4, 32.2] |
    | alpha | 0.319 | [0.273, 0.420] |
    | B | 45.5 | [19.4, 115] |
    | beta | 0.323 | [0.244, 0.406] |

    - Exponent of N*: 0.520 [0.418, 0.582] (N* grows as C to this power)
    - Exponent of D*: 0.514 [0.457, 0.610] (D* grows as C to this power)

    - Tokens per parameter: 23.7 [19.0, 35.0] (D*/N* at 2.70e12 FLOPs)
    - Best size: 129K [105K, 145K] (N*, parameters, at 2.70e12 FLOPs)
    - Expected loss there: 1.520 [1.510, 1.531] (nats per token, by the law)

    ### The frontier per approach

    | Approach | Exponent of N*, a | Exponent of D*, b | N* | D*/N* |
    | --- | --- | --- | --- | --- |
    | 3, fitted law (chinchilla) | 0.520 [0.418, 0.582] | 0.514 [0.457, 0.610] | 129K | 23.7 |
    | 2, through the IsoFLOP minima | 0.456 [0.357, 0.556] | 0.571 [0.478, 0.664] | 115K | 29.3 |

    N* in parameters and D*/N* in tokens per parameter, both at 2.70e12 FLOPs.

    - Exponent of N*: 0.520 by the fitted law, 0.456 by the IsoFLOP minima; a difference of 0.064, inside the law's interval.
    - N* at 2.70e12 FLOPs: 129K by the fitted law, 115K by the IsoFLOP minima; a factor of 1.12, inside the law's interval.

    Law chinchilla fitted to 13 rows by log-huber:1e-3; the search converged; root mean square of the residuals 0.33 % of the loss. In brackets: 95 % interval, profile likelihood over independent rows, Fisher's F. Bands in the charts and the interval of the loss: percentiles of 400 bootstrap resamples. N and C counted by the rule `exact`; loss: code and prose, weighted as trained, nats per token.

    - Runs: 15 (13 finished, 1 diverged, 1 failed)
    - Compute: 1.68e13 (FLOPs spent on training)
    - Time: 21m02s (of training, summed over the runs)
    - Device: cpu: AMD EPYC 7763

    ## Best size at each budget

    | Budget, FLOPs | Sizes | N*, parabola | N*, Akima | N*, law | Loss at N* |
    | --- | --- | --- | --- | --- | --- |
    | 3.00e11 | 5 | 42.9K | 57.0K | 41.1K | 1.8287 |
    | 9.00e11 | 5 | 67.9K | 56.8K | 72.8K | 1.6568 |
    | 2.70e12 | 3 | 126K | not known | 129K | 1.5194 |

    N in parameters, loss in nats per token. Parabola and Akima spline are two ways to read the minimum off the same points (approach 2); the law is fitted to all points at once (approach 3). Where the three differ much, the sizes of that budget do not bracket the minimum well.

    ## Runs

    | Run | Outcome | N, parameters | D, tokens | C, FLOPs | Loss, nats/token | Residual |
    | --- | --- | --- | --- | --- | --- | --- |
    | `n117K-L2-d64-t375K-s0-0d79ebb0266b` | finished | 117K | 375K | 3.00e11 | 1.8856 | +0.04 % |
    | `n67.9K-L2-d48-t625K-s0-354b35ac3426` | finished | 67.9K | 625K | 3.00e11 | 1.8291 | -0.76 % |
    | `n10.8K-L2-d16-t3.36M-s0-a657d9261977` | finished | 10.8K | 3.36M | 3.00e11 | 1.9250 | +0.03 % |
    | `n20.1K-L2-d24-t1.91M-s0-909aae5c379e` | finished | 20.1K | 1.91M | 3.00e11 | 1.8603 | +0.06 % |
    | `n33.5K-L2-d32-t1.20M-s0-8d15ba26baa1` | finished | 33.5K | 1.20M | 3.00e11 | 1.8374 | +0.19 % |
    | `n20.1K-L2-d24-t5.73M-s0-3758254a68fb` | finished | 20.1K | 5.73M | 9.00e11 | 1.7267 | -0.31 % |
    | `n33.5K-L2-d32-t3.61M-s0-2196d5a325d8` | finished | 33.5K | 3.61M | 9.00e11 | 1.6757 | -0.63 % |
    | `n58.7K-L2-d44-t2.15M-s0-6448e8dd7146` | finished | 58.7K | 2.15M | 9.00e11 | 1.6554 | -0.42 % |
    | `n102K-L2-d60-t1.28M-s0-7cc5d55dedf3` | finished | 102K | 1.28M | 9.00e11 | 1.6701 | +0.30 % |
    | `n206K-L3-d72-t644K-s0-d79a7fe451aa` | finished | 206K | 644K | 9.00e11 | 1.7103 | -0.03 % |
    | `n102K-L2-d60-t3.84M-s0-f53d55f76846` | finished | 102K | 3.84M | 2.70e12 | 1.5212 | +0.05 % |
    | `n206K-L3-d72-t1.93M-s0-9b06118496e0` | finished | 206K | 1.93M | 2.70e12 | 1.5295 | -0.05 % |
    | `n58.7K-L2-d44-t6.44M-s0-60d1884f3582` | finished | 58.7K | 6.44M | 2.70e12 | 1.5435 | +0.23 % |
    | `n33.5K-L2-d32-t10.8M-s0-d2636ec65da6` | diverged at step 412 | 33.5K | 10.8M | 2.70e12 | not known | not known |
    | `n306K-L3-d88-t1.33M-s0-16863d76e04c` | failed | 306K | 1.33M | 2.70e12 | not known | not known |

    ## Excluded runs

    | Run or cell | Outcome | Reason |
    | --- | --- | --- |
    | `budget 3.00e11, N 152K` | dropped from the plan | 142 steps are fewer than the 200 that `min-steps` asks for |
    | `n33.5K-L2-d32-t10.8M-s0-d2636ec65da6` | diverged | the loss diverged at step 412 |
    | `n306K-L3-d88-t1.33M-s0-16863d76e04c` | failed | failed 3 times: out of memory at a micro-batch of 1 (hint: drop the size or take a device with more memory) |

    ## Provenance

    - Report made: 2026-11-22 14:05 UTC
    - Report made by: scalelaw 0.1.0 (6b60c00)
    - Source of the losses: quickstart
    - Loss: code and prose, weighted as trained, nats per token
    - N and C counted by: exact
    - Runs trained by: scalelaw 0.1.0 (6b60c00)
    - Devices: cpu: AMD EPYC 7763
    - Seeds: 0
    - Epochs over the most-read text: 0.40 (no repeats)
    - Vocabulary: 257 tokens
    - Context: 128 tokens
    - Batch: 1,024 tokens
    - Optimizer: AdamW, betas 0.9 and 0.95, eps 1e-8, weight decay 0.1
    - Schedule: warm-up, then cosine to 0.10 of the peak
    - Duration of the fit: 1s

    | Text | Content hash of its tokens |
    | --- | --- |
    | code | `5f1d3c0a9b7e` |
    | prose | `c20e88f14a36` |
    "#);
}

#[test]
fn no_line_is_longer_than_the_terminal() {
    let simulated = sweep::sweep(4, 7);
    let spec = FitSpec {
        law: LawChoice::All,
        bootstrap: 50,
        holdout_compute: Some(0.7),
        predict: vec![PredictAt::C(1e15), PredictAt::ND(1e5, 1e6)],
        ..FitSpec::new()
    };
    let fitted = scalelaw_fit::fit(&simulated.table, &spec).expect("runs of a known law are fitted");
    let skills = skills::simulate(150, "");
    let rates = learning_rates(&simulated);
    let refusal = refusal();
    for width in [40, 60, 80, 120, 200] {
        let fit = terminal::scaling::text(Ok(&fitted), width);
        for word in ["chinchilla", "alpha", "Exponent of N*", "held out", "decades of compute beyond", "95 %"]
        {
            let words: Vec<&str> = fit.split_whitespace().collect();
            assert!(words.join(" ").contains(word), "{width}: {word} in\n{fit}");
        }
        let texts = [
            fit,
            terminal::scaling::text(refused(&refusal), width),
            terminal::skills::text(&skills.report(), width),
            terminal::learning_rate::text(&rates, width),
        ];
        for line in texts.iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
