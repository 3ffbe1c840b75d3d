"""Trees that correct the score of a candidate, by the fields of a Context. Written by tests/bench/train_ranking.py:
do not edit. Code, since walking the trees as data would take ten times as long as the rest of the ranking.
"""

# fmt: off


def short(
    size: int, chars: int, longest: int, alone: int, late: float, spread: float, rarest: int, commonest: int,
    headed: int, begins: int, ends: int, before: int, after: int, weight: float, name: float
) -> float:
    return (0.0
    + (((-0.0308 if longest <= 7 else -0.0002) if chars <= 15 else (0.0209 if late <= 0.4062 else 0.0483)) +
       (((-0.0125 if size <= 1 else 0.0289) if name <= 1e-35 else (-0.0374 if begins <= 21 else 0.0047)) if
       after <= 9 else -0.0582) if rarest <= 2 else ((0.0662 if late <= 0.2055 else -0.0266) if spread <=
       0.03859 else (-0.0362 if rarest <= 3 else -0.085)) + ((-0.0459 if size <= 2 else 0.0195) if after <= 9
       else -0.102))
    + (((-0.0519 if chars <= 4 else -0.0102) if headed <= 1 else (-0.0061 if spread <= 0.08895 else -0.0831))
       if chars <= 15 else ((0.0551 if weight <= 0.3667 else 0.0222) if spread <= 0.05484 else (0.0113 if
       headed <= 1 else -0.0309)))
    + (((-0.0577 if longest <= 4 else (-0.0711 if alone <= 0 else -0.0099)) + (((-0.0245 if spread <= 1e-35
       else (-0.0221 if longest <= 4 else 0.0275)) if longest <= 9 else 0.0328) if headed <= 1 else (-0.0069
       if spread <= 0.3151 else -0.0608)) if chars <= 15 else (((0.0578 if after <= 4 else 0.002) if weight <=
       0.3667 else 0.0191) if spread <= 0.1325 else -0.0049) + 0.0101) + ((0.0008 if weight <= 0.9 else
       (-0.0671 if ends <= 18 else -0.0136)) if longest <= 7 else ((0.0245 if name <= 1e-35 else -0.0046) if
       spread <= 0.1689 else (0.0184 if headed <= 1 else -0.0356))) + (-0.028 if longest <= 4 else (((-0.0311
       if chars <= 9 else 0.0331) if ends <= 18 else 0.0396) if size <= 1 else (0.0048 if name <= 1e-35 else
       (-0.039 if chars <= 15 else -0.0047)))) if after <= 9 else -0.2436)
    + (((((0.0433 if weight <= 0.3667 else 0.018) if name <= 0.2917 else (-0.0374 if begins <= 21 else
       0.0058)) if before <= 7 else (-0.0838 if before <= 8 else -0.0145)) + ((-0.0591 if before <= 1 else
       (-0.0486 if begins <= 21 else 0.0477)) if longest <= 4 else ((0.0173 if name <= 0.2917 else -0.0016) if
       before <= 3 else -0.0023)) if after <= 9 else -0.0904) + ((((0.0098 if begins <= 17 else 0.034) if
       weight <= 0.7083 else (-0.0162 if before <= 1 else 0.0089)) if before <= 6 else (-0.0582 if before <= 8
       else -0.0113)) if rarest <= 3 else -0.0372) + (((0.0497 if ends <= 17 else (0.0117 if size <= 3 else
       0.0534)) if weight <= 0.7083 else (0.0015 if rarest <= 3 else -0.0372)) + (-0.0358 if longest <= 4 else
       ((0.0647 if size <= 1 else 0.0159) if after <= 1 else (0.0041 if after <= 9 else -0.0369))) + (0.0239
       if weight <= 0.2917 else (0.0019 if size <= 3 else 0.0216)) if before <= 7 else (-0.2221 if before <= 8
       else (0.0012 if weight <= 0.9 else -0.0266) + -0.0269)) + ((0.0697 if ends <= 15 else 0.0169) if weight
       <= 0.3667 else (((0.0028 if late <= 0.8494 else 0.0256) if rarest <= 5 else -0.0444) if before <= 5
       else -0.0221)) + (-0.0751 if chars <= 3 else (((0.0467 if size <= 1 else (-0.0135 if chars <= 15 else
       0.0154)) if after <= 1 else -0.0001) + (0.0034 if late <= 0.8759 else 0.0245) if before <= 7 else
       (-0.1297 if before <= 8 else (-0.022 if late <= 0.3715 else 0.0115) + -0.0077))) + ((0.0152 if weight
       <= 0.3667 else ((-0.0231 if begins <= 18 else 0.0037) if longest <= 7 else (-0.0028 if late <= 0.4252
       else (-0.0053 if begins <= 16 else 0.0243)))) if rarest <= 6 else -0.0489) + (((-0.0319 if longest <= 4
       else ((0.0387 if size <= 1 else 0.0038) if after <= 1 else -0.0061)) if after <= 2 else 0.0224) if
       after <= 4 else -0.0079) if before <= 11 else (-0.1861 if late <= 0.1008 else -0.0151) + (-0.006 if
       commonest <= 2 else -0.0649) + -0.4904)
    + ((-0.1235 if alone <= 0 else ((-0.0186 if size <= 2 else 0.0214) if longest <= 7 else (0.0057 if late <=
       0.4252 else 0.0231)) + ((0.0783 if ends <= 17 else 0.0179) if weight <= 0.3667 else (0.0066 if name <=
       1e-35 else (-0.0399 if begins <= 21 else 0.0014)))) + (((-0.0153 if size <= 2 else 0.0157) if begins <=
       16 else 0.0159) if weight <= 0.9 else (0.0081 if size <= 1 else ((-0.0278 if late <= 0.178 else 0.0084)
       if ends <= 20 else -0.0632))) + (0.0126 if ends <= 17 else ((-0.0076 if late <= 0.337 else 0.0026) if
       alone <= 1 else 0.0085)) if rarest <= 3 else (0.0096 if spread <= 0.09914 else (-0.084 if alone <= 2
       else -0.0329)) + (-0.033 if after <= 10 else -0.0824) + (((0.0172 if late <= 0.2213 else -0.0298) if
       after <= 10 else -0.0436) if before <= 10 else -0.0468) + -0.0368)
    + ((-0.0828 if alone <= 0 else (((-0.0847 if chars <= 8 else -0.0017) if ends <= 18 else (-0.0139 if
       spread <= 1e-35 else 0.0336)) if longest <= 6 else (0.0086 if name <= 1e-35 else -0.0067)) + (((-0.0626
       if ends <= 18 else 0.0322) if chars <= 6 else 0.0053) if name <= 1e-35 else ((-0.0132 if ends <= 20
       else -0.0559) if name <= 0.9 else 0.014))) if rarest <= 5 else -0.1021)
    + ((((0.032 if ends <= 17 else (0.0022 if headed <= 2 else 0.024)) if weight <= 0.7083 else -0.0021) if
       before <= 7 else (-0.0397 if late <= 0.09041 else (-0.0512 if before <= 8 else 0.0))) + (((-0.01 if
       size <= 2 else 0.0069) if begins <= 17 else (0.0423 if after <= 0 else ((-0.0453 if before <= 1 else
       0.0201) if longest <= 3 else 0.0079))) if before <= 5 else -0.0117) + ((0.0276 if ends <= 15 else
       (0.0102 if before <= 2 else (-0.0097 if chars <= 19 else (0.0189 if longest <= 10 else -0.0033)))) if
       weight <= 0.9 else (-0.003 if before <= 9 else -0.034)) + ((0.0497 if ends <= 17 else 0.009) + 0.0134
       if weight <= 0.225 else (((-0.0001 if after <= 11 else -0.0354) if ends <= 20 else -0.0539) + (-0.0307
       if chars <= 9 else (0.0032 if name <= 1e-35 else -0.0133)) if name <= 0.9 else (0.0975 if weight <=
       0.7083 else (0.0233 if chars <= 10 else -0.0369) + 0.0044))) + ((((0.0113 if ends <= 17 else -0.007) if
       size <= 3 else 0.0177) + -0.0029 if alone <= 1 else ((-0.0125 if longest <= 3 else 0.039) + (0.0383 if
       late <= 0.112 else 0.0018) if size <= 1 else (0.0083 if weight <= 0.775 else -0.0163) + 0.0008)) if
       late <= 0.8252 else (0.0212 if ends <= 18 else -0.0054) + 0.0129) if rarest <= 6 else -0.3288)
    + (((-0.0285 if chars <= 9 else (0.0426 if chars <= 17 else 0.0064)) if ends <= 17 else (0.013 if size <=
       1 else (-0.0192 if chars <= 15 else 0.0031))) if before <= 9 else (-0.0467 if chars <= 14 else
       -0.0051))
    + ((((0.0107 if before <= 2 else (-0.0158 if late <= 0.5618 else (0.0134 if commonest <= 3 else -0.0255)))
       if headed <= 1 else 0.018) if weight <= 0.6333 else (0.0011 if headed <= 1 else -0.0118)) + ((0.0461 if
       weight <= 1e-35 else (-0.0046 if headed <= 1 else 0.0258)) if ends <= 17 else (0.001 if before <= 7
       else (-0.0539 if before <= 8 else (-0.0226 if longest <= 8 else 0.0017)))) + ((0.0375 if ends <= 17
       else 0.0068) + ((0.0141 if ends <= 18 else -0.0161) if rarest <= 1 else (0.0462 if commonest <= 2 else
       (0.0256 if spread <= 0.1325 else -0.0072))) if weight <= 0.225 else ((-0.0309 if longest <= 3 else
       0.004) if before <= 3 else ((-0.0059 if ends <= 20 else -0.0455) if name <= 0.9 else 0.0327)) +
       (-0.0075 if longest <= 7 else 0.001)) + (((0.008 if size <= 3 else 0.0409) if after <= 1 else -0.0019)
       if weight <= 0.7083 else (-0.0405 if ends <= 13 else ((-0.0071 if after <= 2 else 0.0151) if after <=
       10 else -0.0289))) if spread <= 0.9349 else -0.1708)
    + ((0.0341 if before <= 1 else -0.045) if alone <= 0 else ((-0.0539 if chars <= 2 else -0.0009) if chars
       <= 3 else ((0.0175 if before <= 9 else -0.0307) if size <= 1 else (0.0027 if name <= 1e-35 else
       -0.0126))))
    + (0.0034 if weight <= 0.9 else (((-0.0098 if ends <= 18 else (-0.0049 if before <= 1 else 0.0403)) if
       size <= 1 else ((-0.0119 if after <= 2 else 0.0116) if ends <= 20 else -0.0462)) if commonest <= 6 else
       -0.0335))
    + (((0.0004 if after <= 2 else (0.0234 if chars <= 24 else -0.0106)) if after <= 4 else (-0.0473 if after
       <= 5 else (-0.0065 if begins <= 22 else 0.0269))) if before <= 17 else (-0.0405 if late <= 0.112 else
       0.0107))
    )


def long(
    size: int, chars: int, longest: int, alone: int, late: float, spread: float, rarest: int, commonest: int,
    headed: int, begins: int, ends: int, before: int, after: int, weight: float, name: float
) -> float:
    return (0.0
    + (0.7614 if begins <= 11 else (((-0.0322 if longest <= 9 else 0.0832) if chars <= 17 else -0.1052) +
       -0.0501 if spread <= 0.06545 else (((0.0423 if after <= 4 else 0.1173) if after <= 20 else 0.0572) +
       0.1326 if commonest <= 5 else ((0.0681 if commonest <= 49 else -0.0144) if chars <= 16 else -0.0046) +
       (0.067 if weight <= 0.225 else (0.0912 if ends <= 17 else -0.0069)))) + (((-0.0524 if after <= 2 else
       0.0532) if before <= 3 else (-0.1177 if begins <= 16 else -0.0503)) + ((-0.0494 if after <= 4 else
       0.0796) if after <= 6 else -0.0744) if rarest <= 1 else ((0.0488 if name <= 1e-35 else -0.0096) if
       commonest <= 14 else -0.0031) + (0.0687 if ends <= 17 else ((0.0369 if rarest <= 12 else -0.0167) if
       late <= 0.06392 else -0.0178))) + (((0.0406 if chars <= 9 else 0.1124) if rarest <= 14 else (-0.0263 if
       alone <= 8 else (0.0312 if alone <= 26 else -0.0116))) + (-0.0151 if after <= 1 else 0.034) + 0.0148 if
       size <= 1 else (-0.0637 if spread <= 1e-35 else 0.0113) + ((0.1454 if begins <= 18 else -0.0808) if
       ends <= 17 else (-0.1268 if begins <= 14 else (0.0675 if weight <= 1e-35 else (-0.0102 if ends <= 18
       else -0.0586) + -0.0369)))) + ((((-0.0238 if spread <= 0.8652 else (-0.0002 if late <= 0.003271 else
       0.0647)) if after <= 2 else (0.0362 if commonest <= 13 else -0.0312)) if size <= 3 else -0.0999) if
       late <= 0.5349 else -0.0485) + (((0.0003 if longest <= 8 else 0.1174) if weight <= 1e-35 else (-0.0105
       if before <= 1 else 0.0173)) if before <= 2 else ((-0.0712 if weight <= 0.225 else -0.0418) if before
       <= 5 else 0.0024)) + (((-0.0485 if before <= 0 else ((0.0169 if longest <= 10 else 0.0932) if before <=
       1 else (0.0075 if before <= 18 else -0.0208))) if name <= 0.3667 else -0.0523) + ((0.0107 if late <=
       0.0126 else (((-0.0286 if begins <= 16 else 0.0257) if chars <= 20 else -0.0356) if name <= 1e-35 else
       -0.066)) if chars <= 33 else 0.014) if ends <= 18 else -0.0346))
    + ((0.0619 if late <= 0.007351 else (0.145 if begins <= 18 else (-0.0061 if after <= 2 else 0.149)) +
       0.0476) if size <= 1 else (0.0969 if begins <= 11 else (-0.0808 if spread <= 1e-35 else (0.0636 if
       commonest <= 6 else 0.0108))) + ((0.0012 if commonest <= 2 else (0.1713 if begins <= 17 else 0.0606))
       if ends <= 17 else (-0.0389 if before <= 11 else (0.0547 if rarest <= 6 else 0.0077))))
    + (((0.0579 if size <= 1 else -0.0264) + -0.0023 if chars <= 18 else (-0.0844 if late <= 0.5119 else
       -0.1244) + (((-0.0649 if longest <= 10 else -0.0849) if longest <= 13 else -0.0187) if weight <= 0.9
       else -0.0092)) + (-0.0042 if before <= 2 else (-0.0624 if before <= 5 else (0.0449 if before <= 10 else
       -0.0601))) if spread <= 1e-35 else (((0.1107 if commonest <= 11 else 0.0287) if chars <= 22 else
       -0.0174) if late <= 0.1154 else 0.032) + ((0.0045 if longest <= 6 else 0.0335) if ends <= 18 else
       0.0029) + (((0.0397 if commonest <= 6 else 0.0036) if ends <= 20 else 0.0531) if weight <= 0.7083 else
       0.0028))
    + (((-0.0043 if longest <= 6 else (0.0433 if ends <= 18 else 0.0297)) if longest <= 12 else 0.1903) +
       (((-0.0329 if longest <= 3 else 0.032) if longest <= 4 else 0.0032) if ends <= 20 else (-0.0048 if
       chars <= 9 else (0.0381 if chars <= 11 else (-0.0234 if headed <= 1 else 0.0477)))) + (((0.0039 if
       chars <= 11 else -0.0052) if before <= 18 else -0.0259) if longest <= 9 else ((-0.0082 if late <=
       0.001399 else 0.0743) if before <= 2 else (-0.0168 if longest <= 12 else 0.0599))) if chars <= 17 else
       ((-0.0112 if after <= 4 else 0.0962) if ends <= 17 else (-0.1082 if spread <= 1e-35 else -0.0156)) +
       -0.0618)
    + ((-0.0079 if late <= 0.001399 else 0.0829) if ends <= 17 else ((0.0118 if longest <= 8 else (0.0777 if
       ends <= 18 else 0.0423)) if size <= 1 else ((-0.0006 if size <= 2 else -0.0747) if late <= 0.5119 else
       -0.083)))
    + ((0.0159 if longest <= 12 else (0.0384 if after <= 5 else 0.1343)) if chars <= 18 else (((0.0582 if
       weight <= 1e-35 else -0.0702) if after <= 6 else -0.1049) if spread <= 1e-35 else (0.0548 if alone <= 1
       else -0.0278)))
    + (((0.0089 if size <= 2 else -0.0384) if before <= 3 else ((-0.0867 if weight <= 0.2917 else -0.0736) if
       begins <= 16 else -0.0396)) + ((0.0535 if weight <= 1e-35 else -0.0129) if before <= 2 else ((-0.0675
       if weight <= 0.2917 else -0.0478) if before <= 5 else (0.0497 if before <= 10 else -0.0714))) if rarest
       <= 1 else ((0.0389 if alone <= 1 else 0.0142) if size <= 2 else -0.0422) + (-0.0098 if chars <= 8 else
       0.0214))
    + (((0.0173 if size <= 1 else 0.0244) if chars <= 27 else -0.0361) + ((-0.0374 if ends <= 17 else -0.0231)
       + -0.0392 if commonest <= 1 else (0.0129 if size <= 1 else (0.0343 if size <= 2 else -0.032)) + (0.023
       if rarest <= 11 else -0.0258)) if late <= 0.06392 else ((0.0072 if before <= 1 else 0.0299) if before
       <= 2 else ((-0.0476 if longest <= 6 else -0.001) if chars <= 18 else -0.0917) + (-0.0148 if after <= 1
       else -0.027)) + ((-0.0211 if late <= 0.1861 else -0.007) if after <= 5 else (-0.0121 if after <= 13
       else 0.0532)))
    + (((-0.0046 if late <= 0.0126 else 0.0222) if longest <= 11 else 0.0697) if chars <= 14 else ((0.0024 if
       chars <= 33 else 0.0364) if before <= 2 else (-0.0664 if before <= 11 else (-0.0415 if longest <= 9
       else 0.0621))))
    + (-0.0184 if late <= 0.001399 else (((0.0274 if weight <= 0.6333 else 0.0803) if name <= 0.45 else
       (-0.0358 if after <= 6 else 0.0553)) if before <= 1 else ((0.0167 if before <= 3 else -0.043) if before
       <= 8 else 0.0045)))
    + (((-0.0133 if before <= 8 else (0.0347 if before <= 18 else -0.032)) + -0.0023 if longest <= 10 else
       (((0.1481 if weight <= 0.3667 else 0.024) if weight <= 0.6333 else 0.0915) + (-0.0399 if before <= 0
       else 0.0594) if before <= 3 else (-0.0774 if commonest <= 2 else (0.047 if commonest <= 6 else 0.0143))
       + -0.0362)) + (((((-0.0077 if longest <= 6 else 0.0284) if after <= 9 else -0.0027) if longest <= 11
       else 0.0719) if chars <= 14 else (0.0391 if ends <= 17 else -0.0186)) if name <= 0.3667 else -0.0574) +
       (-0.0147 if longest <= 6 else ((-0.001 if chars <= 8 else 0.0218) if chars <= 14 else (0.0196 if before
       <= 3 else (-0.0547 if before <= 11 else (0.0492 if before <= 18 else -0.0093))))) + (-0.0383 if before
       <= 0 else ((-0.005 if longest <= 10 else 0.0631) if before <= 1 else (-0.01 if before <= 8 else (0.0231
       if before <= 18 else -0.0268)))) if ends <= 18 else (0.048 if begins <= 11 else -0.0196) + (-0.0257 if
       ends <= 20 else 0.0159) + -0.0229)
    + ((0.0476 if weight <= 0.7083 else -0.0061) if alone <= 0 else ((((0.0152 if after <= 5 else 0.0074) if
       size <= 2 else -0.0073) if late <= 0.09099 else (-0.0093 if name <= 1e-35 else -0.0893)) if ends <= 20
       else 0.0206))
    + ((0.0105 if alone <= 0 else ((0.0009 if after <= 5 else (-0.0218 if longest <= 12 else 0.0688)) if name
       <= 0.9 else (0.0 if after <= 4 else (0.1023 if rarest <= 4 else 0.0031)))) if chars <= 25 else -0.051)
    + ((((0.0796 if longest <= 8 else -0.0003) + 0.0442 if ends <= 17 else (-0.0195 if alone <= 13 else
       0.0327) + -0.0149) if name <= 0.9 else (0.0465 if late <= 0.04416 else 0.1253)) if weight <= 0.55 else
       (-0.0112 if spread <= 0.06545 else (0.0101 if longest <= 4 else 0.0005)) + (0.0044 if size <= 1 else
       (-0.0131 if late <= 0.01857 else -0.0197)))
    + (((0.0093 if after <= 12 else 0.052) if before <= 3 else ((0.0555 if after <= 6 else -0.0514) if weight
       <= 0.2917 else (0.0062 if after <= 1 else -0.0309))) if commonest <= 3 else (0.0281 if weight <= 0.55
       else -0.0067))
    + (-0.0168 if longest <= 6 else ((0.0057 if ends <= 18 else (((-0.0121 if name <= 0.9 else 0.045) if
       weight <= 0.6333 else -0.0222) if longest <= 7 else (-0.0251 if after <= 7 else 0.0395))) if size <= 3
       else -0.0927))
    + (((((-0.0646 if late <= 0.2191 else (-0.0225 if after <= 2 else 0.0973)) if after <= 6 else (0.012 if
       late <= 0.5349 else -0.0754)) if commonest <= 1 else 0.0123) if ends <= 18 else -0.0034) if size <= 3
       else -0.0879)
    )
