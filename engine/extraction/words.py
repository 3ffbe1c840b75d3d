"""English word lists: what ends a phrase, and what may not begin or end one. Sorted, by hand; used for English text only."""

from __future__ import annotations

FUNCTION = frozenset(
    """a about above according across actually after again against all almost along already also although always am among an and
    another any anybody anyone anything anyway are aren't around as at away back be became because become becomes been before behind
    being below beside besides between beyond both briefly but by can can't cannot certain certainly could couldn't did didn't do
    does doesn't doing don't done down due during e.g each either else elsewhere enough especially etc even ever every everyone
    everything except far few fewer first for former from further furthermore g generally had hardly has hasn't have haven't having
    he hence her here hers herself him himself his how however i i.e if in indeed instead into is isn't it it's its itself just
    largely last lately later least less let like likely made mainly many may maybe me meanwhile might mine moreover most mostly much
    must my myself namely near nearly necessarily neither never nevertheless next no nobody none nor not nothing now nowhere
    obviously of off often on once one one's only onto or other others otherwise our ours ourselves out over own particular
    particularly per perhaps please possibly quite rather really recently regarding relatively respectively same secondly seem seemed
    seems several shall she should shouldn't simply since so some somehow someone something sometimes somewhat soon still such than
    that that's the their theirs them themselves then there thereby therefore these they thing things this those though three through
    throughout thus to together too toward towards two under unless unlike until up upon us using usually very via was wasn't we well
    were weren't what whatever when where whereas whether which while who whole whom whose why will with within without won't would
    wouldn't yes yet you your yours yourself""".split()
)

_VERBS = """achieve address adopt aim allow analyse analyze appear apply argue arise ask assess assume attempt avoid become begin
    believe bring call carry cause choose combine come compare comprise compute conclude conduct confirm consider consist construct
    contain contribute create deal decide define demonstrate denote depend derive describe determine develop devise differ discuss
    employ enable encourage enhance ensure establish evaluate examine exhibit exist expect explain explore express extend face
    facilitate fail find focus follow formulate gain generalise generalize generate get give go grow handle happen help hold identify
    illustrate implement imply improve include incorporate increase indicate introduce investigate involve keep know lead learn let
    lie look maintain make manage mean meet motivate need note obtain observe occur offer outline overcome perform permit play
    present prevent produce propose prove provide put raise reach read realise realize receive reduce refer reflect relate rely
    remain remove represent require resolve result reveal run satisfy say see seek seem select serve show simplify solve speak
    start stay stem study suffer suggest summarise summarize support take tell tend treat try turn understand undertake use utilise
    utilize vary verify view want work write yield""".split()

_IRREGULAR = """arose arisen became begun began brought came chose chosen dealt found gave given got gotten grew grown held kept knew
    known led lain lay made meant met put ran said saw seen showed shown sought spoke spoken taken thought told took tried understood
    undertook went gone wrote written built""".split()


def _forms(verb: str) -> list[str]:
    """verb, verbs, verbed, verbing, by the regular rules."""
    if verb.endswith("e"):
        return [verb, verb + "s", verb + "d", verb[:-1] + "ing"]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return [verb, verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"]
    ending = "es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s"
    doubled = verb + verb[-1] if verb[-1] in "tnpg" and len(verb) <= 4 and verb[-2] in "aeiou" and verb[-3] not in "aeiou" else verb
    return [verb, verb + ending, doubled + "ed", doubled + "ing"]


# nouns as often as verbs: they stay inside phrases in their base form
_NOUNS_TOO = frozenset("address aim approach call cause focus help increase need note play result run show study support use view work yield".split())

VERBS = frozenset(form for verb in _VERBS for form in _forms(verb) if not (form in _NOUNS_TOO and form == verb)) | frozenset(_IRREGULAR)

# adjectives and nouns that say little: never at the left edge of a phrase, never a keyword alone
WEAK_LEFT = frozenset(
    """able actual additional adequate advanced alternative appropriate available basic best better big bigger broad careful clear
    close common commonly comprehensive considerable consistent conventional corresponding critical crucial current different
    difficult direct distinct easy effective efficient entire essential excellent existing experimental extensive fast final fixed
    full fundamental general given global good great greater growing hard high higher highly important improved increasing
    independent individual initial interesting internal known large larger latest limited little local long low lower main major
    minor modern multiple natural necessary new newly novel numerous obvious old original overall popular possible potential powerful
    practical precise present previous primary promising proper proposed real reasonable recent related relevant reliable respective
    rich right robust short significant similar simple single small smaller special specific standard strong sufficient suitable
    theoretical traditional typical unique useful usual valid valuable various wide widely""".split()
)

WEAK_ALONE = frozenset(
    """abstract account activity addition advantage amount analysis answer application approach area article aspect author basis
    benefit book capability case chapter characteristic choice class code combination comparison component concept conclusion
    condition consequence content context contribution cost data date day degree description design detail development difference
    difficulty discussion effect effort element end environment evaluation event evidence example experience experiment extent fact
    factor feature field figure file form function future goal group guide hand idea implementation importance improvement
    information input instance interest introduction issue item kind knowledge lack language level life limit line list literature
    lot matter means measure method methodology model name nature number object objective observation operation opportunity option
    order organization output page paper parameter part people performance period person phase point position possibility power
    practice presence principle problem procedure process product program project property proposal purpose quality question range
    rate reason reference relation relationship report requirement research resource respect response result review role rule sample
    scheme science section sense series service set side size solution sort source space stage state statement step strategy strength
    structure study subject success summary support survey system table target task technique technology term test theory time title
    tool topic type understanding use user value variable variety version view way work world year""".split()
)
