"""English word lists: words that end a phrase, and words that add little to one. Curated manually, sorted; for English
text only.

These are words of general English, not of one field: words that no keyword begins with, ends in or consists of.
"""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


DETERMINERS = _set(
    """a all an another any both each either every half her his its many most much my neither no our several
    some such the their these this those various what whatever whichever whose your"""
)

# after these a word that may be noun or verb is a verb: to test, they report, it may cause
BEFORE_VERBS = _set(
    """can can't cannot could couldn't did didn't do does doesn't don't he i it may might must please shall
    she should shouldn't they to we will won't would wouldn't you"""
)

# after these a participle is a verb: was arrested, has been designed, is growing
AUXILIARIES = _set(
    """am are aren't be been being get gets got had hadn't has hasn't have haven't having is isn't it's
    that's they're was wasn't we're we've were weren't"""
)

# programming-language keywords; no one searches for them
CODE = _set("bool const def elif endif enddef fn foo func impl mut printf pub str struct typeof var")

# before a name in a program or a query
DECLARING = _set(
    """class const create enum extern final func function impl import index interface into join let module
    namespace new package private protected public return select static struct table trait type typedef update use
    using val void"""
)

FUNCTION = (
    _set(
        """about above according accordingly across actually after afterwards again against ago ahead ain't albeit
        alike almost alone along already also although altogether always amid among amongst and and/or
        anybody anyhow anyone anything anyway anywhere apart around as aside at away back because before
        beforehand behind below beneath beside besides between beyond but by cent certain concerning
        consequently corresponding despite down dr due during e.g eight eleven else elsewhere enough
        especially et etc even ever everybody everyone everything everywhere except far few fewer fifth
        first firstly five for former forth forward four fourth from further furthermore hadn't he'll
        he's he/she hence henceforth here here's hereby herein herself him himself his/her hitherto how
        however i'd i'll i'm i've i.e ibid if in inasmuch indeed inside instead into isn't it'll itself
        just last lastly later latter least less let let's like likewise ll maybe me meanwhile mere
        mightn't mine more moreover mr mrs ms mustn't myself namely near nearby needn't never
        nevertheless next nine nobody non none nonetheless nor not nothing notwithstanding now nowadays
        nowhere of off often okay on once one one's ones oneself only onto opposed or other others
        otherwise ought ourselves out outside over own par per perhaps plus previously prior prof quite
        rather re regarding regardless regards respectively s s/he said same second secondly seldom seven
        shan't she'll she's since six so somebody somehow someone something sometime sometimes somewhat
        somewhere soon still t ten than thanks theirs them themselves then there there's thereafter
        thereby therefore therein thereof they'd they'll they've thing things third thirdly though three
        through throughout thus till today today's together tomorrow tomorrow's tonight too toward
        towards twelve twice two under underneath unless unlike unlikely until unto up upon us useful
        using usual ve versus very via vis vs want was we'd we'll well were what's when whence whenever
        where where's whereas whereby wherein wherever whether while whilst whither who's who've whole
        whom why with within without worth wouldn't y'all yes yesterday yesterday's yet you'd you'll
        you're you've yours yourself yourselves"""
    )
    | DETERMINERS
    | _set("that which who")
    | BEFORE_VERBS
    | AUXILIARIES
    | CODE
)

# names that begin with a weak word
AFTER_NEW = _set(
    "brunswick caledonia deal delhi england guinea hampshire haven jersey mexico orleans south testament york zealand"
)

# verbs only: they end a phrase in every form, participles too (proposed, using)
_VERBS = _set(
    """accumulate activate afford annotate appeal apprehend approximate ascertain automate bear bind browse buy
    cater circulate combat commit communicate compose comprehend compress consume converge cooperate correlate
    corroborate cripple decrypt degrade delineate demote diagnose dictate diffuse disambiguate discriminate
    disprove disregard disseminate distill disturb dominate embrace encapsulate encode endanger enrich excel
    fabricate fade forget form fuse govern grasp hide hinge honour ignite illuminate integrate interfere invalidate
    invest let manipulate mediate migrate mimic misrepresent miss navigate outsource overlook owe permeate pick
    populate posit proliferate propagate prune pull purge reconstruct recur redefine redirect reformulate regulate
    reign reinforce reorder replicate resonate resort restructure revise roll saturate shed shrink sleep spare
    speculate steer streamline struggle subsume subvert supervise suppress sustain underestimate tailor teach
    thrive tolerate translate transmit tread truncate uncover underpin unify volunteer weave widen abandon
    accelerate accept accommodate accompany accomplish account accuse achieve acknowledge acquire acquit act adapt
    add address adjust admit admonish adopt affect agree aim allay allege alleviate allocate allow alter amount
    analyse analyze announce anticipate apologise apologize appear apply appoint appreciate approve argue arise
    arrange arrest arrive articulate ask assassinate assemble assert assess assign assist associate assume assure
    attach attain attempt attend attract attribute augment avoid await ban base batter beat become befall beget
    begin behave believe belong berate blame blast blow boast bolster bomb borrow bound break bring broaden build
    burn calculate call capture carry cause cease celebrate challenge chant characterise characterize check choose
    circumvent cite claim clarify classify click climb coincide collaborate collapse collect combine come commence
    comment compare compensate compete complain complement complete complicate comprise compute concentrate concern
    conclude condemn conduct configure confirm conform confront conjecture connect consider consist constitute
    constrain construct consult contain contend continue contradict contribute convert convey convict convince cope
    correspond counter cover crash create criticize cross cut damage dampen deal decide declare decline decompose
    decrease dedicate deduce deem defeat defend define delay delete deliver demand demonstrate denote deny depart
    depend depict deploy derive describe deserve designate desire destroy detain detect deteriorate determine
    detonate develop deviate devise devote differ differentiate diminish direct disable disagree disappear discard
    discover discuss dismiss dispatch display dispose distinguish distribute divide download downplay draw drive
    drop dub earn ease echo elaborate elect elicit eliminate embed embody emerge emphasise emphasize employ enable
    encompass encounter encourage endorse enforce engage enhance enjoy enlarge ensure entail enter entitle
    enumerate envisage equip erupt escalate escape establish estimate evacuate evade evaluate evict evolve examine
    exceed exclude execute exemplify exhibit exist expand expect experience explain explode exploit explore export
    expose express extend extract face facilitate fail fall favor favour feel fetch fight fill find finish fire fit
    flee flout fly focus foil follow force formalise formalize formulate foster fulfil fulfill furnish gain gather
    generalise generalize generate get give go grant grapple grow guarantee guard guide handle happen hear heed
    help highlight hijack hinder hold hope host hurl hurt identify ignore illustrate imagine impede implement imply
    import impose improve include incorporate increase incur indicate induce infer inflict inform inherit inhibit
    initiate inject injure insert insist inspire install instantiate instruct intend interact intercept interpret
    intervene introduce invade invent investigate invite invoke involve isolate jail jeopardise jeopardize join
    justify keep kidnap kill know lack lament launch lay lead learn leave lend leverage lie listen locate look loot
    lose maintain make manage mandate manifest marry maximise maximize mean measure meet mention merge minimise
    minimize mitigate modify motivate mourn move mull murder necessitate need neglect negotiate nominate note
    notice notify observe obtain occupy occur offer omit operate oppose opt optimise optimize order originate oust
    outline outperform overcome override oversee overturn overview own parse participate pass pay perceive perform
    permit persist persuade pertain play plead pledge plunge point pose possess postulate precede predict prefer
    prepare present preserve presume prevail prevent print proceed produce progress prohibit prolong promise
    promote prompt propose prosecute protect protest prove provide provoke publish pursue push put quantify quash
    question quit quote raid raise range reach react read realise realize reassure rebuff rebuild rebuke recall
    receive recognise recognize recommend reconcile reconsider record recover reduce refer refine reflect refuse
    regard reiterate reject rejoin relate relax relieve rely remain remark remember remind remove render reopen
    repeat replace reply report represent reproduce request require rescue resemble resent reside resign resolve
    respond rest restart restore restrict result resume retain retaliate retire retrieve return reuse reveal review
    revisit revoke rise rule run sack satisfy save say schedule scramble scuttle see seek seem seize select sell
    send sentence separate serve set settle shake share shatter shoot show shrug shun sign simplify simulate sit
    skip slam smash soar solve speak spearhead specify spend spread stand start state stave stay steal stem
    stimulate stop storm strengthen strike strip strive study stun submit succeed sue suffer suffice suggest suit
    summarise summarize supersede supply support suppose surge surpass surrender surround survive suspect suspend
    sustain sway swear sweep swell tackle take talk tell tend terminate test testify thank think threaten throw
    thwart topple touch transform trap travel treat trigger try turn undergo underlie undermine understand
    undertake unveil update uphold upload urge use usher utilise utilize vacate validate vary verify veto view
    violate visit vote vow wait wane want warn weaken weigh wield wish withdraw witness wonder work worry worsen
    wound wrap write yield"""
)

_IRREGULAR = _set(
    """arisen arose ate beaten became began begun bent bought broke broken brought built came chose chosen dealt
    died done drawn drew driven drove dying eaten fallen fell felt fled flew flown forbidden forgave
    forgot forgotten fought found frozen gave given gone got gotten grew grown heard held hid hidden hit
    hung kept knew known laid lain led left lent lit lost made meant met paid proven put ran rang ridden
    risen rode rose said sang sank sat saw seen sent shaken shook shot shown shut slept slid sold sought
    spent spoke spoken stole stolen stood struck stuck stung sunk swam swept sworn swum swung taken
    taught thought threw thrown told took tore torn tried underlay underlies underlying understood
    undertook went wept woke woken won wore worn written wrote"""
)

# as often a noun: the base form and its plural stay in a phrase, unless to, we or will comes before
_NOUNS_TOO = _set(
    """account address aim amount approach attempt attribute ban base blast blow bomb bound break build call
    advocate aggregate aid aim plan answer balance benefit bid boost boot bridge bypass cast cluster compile
    compromise couple crawl dump end exercise feed figure flow fold form harvest impact influence limit map match
    mine monitor overlap partition rank register remedy scale search span spot store strain supplement switch
    threshold track train tune volunteer walk win capture cause challenge check claim collapse comment compute
    concern contact counter cover crash cross cut damage deal decline decrease defeat delay demand deploy design
    desire display download drive drop ease echo escape estimate experience exploit export extract face fall favor
    favour fight fire fit focus force gain grant guarantee guard guide handle help hold hope host import increase
    install intercept interest join lack launch lead mandate measure merge move murder need note notice offer order
    own pass pay play pledge plunge point present print progress promise prompt protest push question quote raid
    range read record regard remark report request rescue rest result return reuse review rise rule run sack
    schedule sell sentence set share shoot show sign spread stand start state stem stop storm strike study supply
    support surge surrender suspect talk test touch transform trap travel trigger try turn update upload urge use
    veto view visit vote wait wish witness work wound yield"""
)


def _forms(verb: str) -> tuple[str, str, str]:
    """-s, -ed and -ing by the regular rules."""
    if verb.endswith("e"):
        return verb + "s", verb + "d", (verb[:-2] + "ying" if verb.endswith("ie") else verb[:-1] + "ing")
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"
    short = len(verb) <= 4 and verb[-1] in "bdgmnprt" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    stem = (
        verb + verb[-1]
        if short
        or verb in ("admit", "commit", "embed", "incur", "infer", "omit", "permit", "prefer", "refer", "submit")
        else verb
    )
    return (verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s"), stem + "ed", stem + "ing")


EITHER_S = frozenset(_forms(verb)[0] for verb in _NOUNS_TOO)
EITHER = _NOUNS_TOO | EITHER_S
# those of EITHER_S that precede a noun as nouns do: records management, results page
MODIFYING = _set("records results rules states tests rights")
# -ing forms that are as often nouns or adjectives of a term: programming by example, learning, processing
_ING_NOUNS = _set(
    """accounting adapting addressing billing binding bonding branching broadcasting building caching casting checking
    clearing coding computing consulting counting crossing cutting debugging decoding deleting dispatching drawing
    driving embedding encoding farming filling filtering finding firing fitting gathering handling hearing hosting
    hunting indexing invoicing learning lending lighting linking listening locking logging making matching meaning
    meeting merging messaging mining modeling modelling monitoring mounting operating ordering parsing passing paying
    planning pricing printing processing profiling programming proving publishing ranking reading recording rendering
    reporting routing running sampling scheduling screening searching seeking selling sensing shaping sharing shopping
    signing smoothing solving speaking spending spreading streaming styling switching teaching testing thinking tracing
    tracking trading training trapping tuning turning typing understanding updating viewing voting waiting warning
    wrapping writing"""
)
_ED_KEPT = _set(
    "associated combined connected constrained directed distributed embedded estimated extended generalized "
    "isolated modified related restricted simulated tested weighted"
)
# of the forms that may be nouns, those that hardly ever are
_SELDOM_NOUNS = _set(
    """aims builds captures covers exploits extracts focuses helps holds leads offers opens plays present presents
    shares show shows spreads starts supports tries try turns uses wish wishes works yields"""
)
EITHER -= _SELDOM_NOUNS
VERBS = (
    ({form for verb in _VERBS for form in (verb, *_forms(verb))} | _IRREGULAR | _SELDOM_NOUNS)
    - EITHER
    - _ING_NOUNS
    - _ED_KEPT
)

# what joins clauses: a form of a verb may follow
JOINING = _set("also and but nor not or then")
RELATIVE = _set("that which who")

# after a plural these are nouns: systems design
AFTER_PLURALS = _set("design study plan guide")

_VERBAL = ("izes", "ises", "ifies", "ize", "ify")
_NOT_VERBAL = _set(
    "size sizes prize prizes exercises enterprises premises promises noises franchises merchandises expertises downsize"
)


_AGAIN = re.compile("re-?|over|under|out|mis|un")


def is_verbal(word: str) -> bool:
    """Whether a lower-case word has the ending of a finite verb, as hardly a noun does."""
    if len(word) > 5 and word.endswith(_VERBAL) and word not in _NOT_VERBAL:
        return True
    again = _AGAIN.match(word)
    return again is not None and word[again.end() :] in VERBS


# adverbs without -ly; words in -ly that are none
ADVERBS = _set("ad altogether et hoc perhaps quite today very")
NOT_ADVERBS = _set(
    "anomaly assembly butterfly daily early family friendly hourly italy july likely monopoly monthly "
    "multiply only rally reply supply weekly yearly"
)

# adjectives and other words that say little: never at the left edge of a phrase, never a keyword
WEAK = _set(
    """able absolute acceptable actual additional adequate advanced alternate alternative ambitious apparent
    appropriate attractive available aware basic best better big bigger biggest brief broad broader busy
    capable careful challenging cheap classic clean clear close closer common comparable compelling
    complete completed complicated comprehensive considerable consistent convenient conventional cool
    correct crucial cumbersome current deeper desirable desired detailed different difficult direct
    disparate distinct diverse dramatic earlier early easier easy effective efficient elegant emerging
    enormous entire equal essential evident excellent existing expected expensive experimental extensive
    extra familiar famous fast faster favorable feasible final fine following fresh full fundamental
    further future general given good great greater greatest growing happy heavy helpful higher highest
    huge ideal identical immense important impossible impressive improved inadequate increased increasing
    incredible individual inherent innovative insufficient intended interested interesting intermediate
    involved key large larger largest latest leading likely limited little long longer lowest main major
    massive meaningful minor modern narrow necessary new newer newly nice notable novel numerous observed
    obvious old older optional original overall particular past perfect pleased poor popular possible
    potential powerful practical precise preferred preliminary previous prominent promising
    proper proposed prospective pure quick ready real-life real-world realistic reasonable recent related
    relevant reliable remaining remarkable representative required resulting rich right rigorous rough
    satisfactory selected sensible separate serious shorter significant similar simple simpler slight
    slow small smaller so-called sophisticated special specific standard state-of-the-art straightforward
    stronger subsequent substantial successful sufficient suitable superior sure surprising systematic
    tested theoretical thorough tight tiny top total traditional tremendous true typical ultimate unable
    unclear unexpected unique unknown unprecedented unusual up-to-date upcoming useful usual
    valid valuable varied various vast viable vital well-established well-known wide wider widespread
    wrong young younger"""
)

# these may begin a phrase, though they add little: high pressure, multiple processors
SOFT = _set(
    """arbitrary average bad central competitive complex critical deep dependent exact explicit fair free
    frequent global hard high independent initial internal joint large-scale late live low lower minimal
    missing moderate multiple mutual naive natural normal open ordinary positive primary principal real
    relative robust severe short single solid strict strong"""
)

# nouns (and a few others) of any field: hardly a keyword alone, and a little less likely one at the end of a phrase
GENERAL = _set(
    """ability absence abstract academic acceptance access accordance accuracy achievement acronym action
    activity addition adjustment adoption advance advantage advice affair afternoon age agency agent
    agreement aim algorithm alternative amount analysis analyst angle answer anyone appearance appendix
    applicability application approach april area argument arrangement arrival art article aspect
    assessment assumption attempt attention attitude audience august author authority autumn availability
    average awareness background balance base baseline basis beginning behavior behaviour belief
    benchmark benefit bit block board body book bottleneck bottom boundary box branch break breakthrough
    bunch business button candidate capability capacity care case category cause center centre century
    chain chairman challenge chance change chapter character characteristic characterization chart chief
    child choice circumstance city claim class classification clause click client code coefficient
    collaboration collection color column combination comment communication community company comparison
    competition complexity component compromise computation computer concentration concept concern
    conclusion condition conference confidence configuration conjunction connection consensus consequence
    consideration constraint construction consumer contact content context contrast contribution control
    convenience convention conversation core corporation correctness correlation correspondence cost
    country couple course coverage creation criteria criterion critic culture current curve customer
    cycle damage data database dataset date daughter day deal dealer decade december decision decrease
    default definition degree delay demand demonstration department dependence dependency deployment
    depth derivation description design designer desire detail detection developer development deviation
    device diagram dimension direction director discipline discovery discussion disk display distance
    distinction distribution diversity document documentation domain door doubt dozen draft drawback
    dynamic ease edge edition effect effectiveness efficacy efficiency effort element emergence emphasis
    employee end enterprise entity entry environment equation equipment equivalent error essence
    establishment estimate evaluation evening event evidence evolution example exception exchange
    execution exercise existence expansion expectation expense experience experiment experimentation
    expert expertise explanation exploration expression extension extent face facility fact factor
    failure fashion fate father favor feasibility feature february feedback feeling field figure file
    finding firm fit flexibility flow focus force form formalism format formation formula formulation
    foundation fraction fragment frame framework freedom frequency friday friend front function
    functionality future gain gap generality generation glance goal good government grade graph ground
    group growth guarantee guidance guide guideline half hand handling head heading health heart height
    help hierarchy highlight history home hope host hour house human hundred husband hypothesis idea
    identification illustration image impact implementation implication importance improvement incident
    inclusion increase indication individual industry influence information infrastructure initiative
    innovation input insight inspection instance institution instruction integration intention
    interaction interest interface interpretation interval introduction investigation issue item january
    job journal judgment july june justification kind knowledge label lack language law layer leader
    learner lecture left length lesson letter level life light limit limitation line link list literature
    little load location logic look loss lot machine magazine maintenance majority man management manager
    manipulation manner manual map mapping mark market mass match material matter maximum mean meaning
    means measure measurement mechanism medium meeting member memory mention message method methodology
    metric middle midnight million mind minimum minister minute mistake mix mixture mode model
    modification module moment monday money month morning mother motion motivation move movement name
    nation nature need neighborhood network news night node noise noon notation note notion novelty
    november number object objective observation occasion occurrence october offer office officer
    official one operation opinion opportunity option order organisation organization origin outcome
    outlook output overhead overnight overview owner package page pair paper paradigm paragraph parameter
    part participant participation party past path pattern penalty people percent percentage performance
    period permission person perspective phase phenomenon photo phrase picture piece pioneer place plan
    plane platform player plot point policy population portion position possibility post potential power
    practice practitioner precision preference preparation presence presentation president pressure price
    principle priority probability problem procedure proceeding process processing product production
    profession professional professor program programme progress project promise proof property
    proportion proposal proposition prospect prototype provider provision publication purpose pursuit
    quality quantity query quest question race range rank rate ratio reader reality realization reason
    reasoning recall recognition recommendation record reduction reference refinement region relation
    relationship release relevance report representation request requirement research researcher resident
    resource respect respondent response responsibility rest restriction result return review revision
    reward rise risk role room root round route row rule run sake sale sample satisfaction saturday
    saving scale scenario schedule scheme scholar school science scientist scope score screen search
    season section sector segment selection self sense sentence separation september sequence series
    server service session set setting setup shape share shift shortcoming show side sign significance
    similarity simplicity site situation size skill society software solution son sort source space span
    speaker specialist specification spectrum speed spirit spokesman spokeswoman spring staff stage
    stakeholder stand standpoint start state statement statistic status step storage story strategy
    stream street strength stress string structure student study style subject subset success suggestion
    suitability sum summary summer sunday superiority supervisor supplier support surface surprise survey
    symbol symposium system table tactic talk target task team technique technology tendency term
    terminology test testing text theme theory thesis thing thinking thought thousand threshold thursday
    time title tool top topic total trade tradeoff tradition training transaction transfer transformation
    transition treatment tree trend trial trouble truth tuesday turn tutorial type understanding unit
    university update usability usage use usefulness user utility validation validity value variable
    variance variant variation variety vector version victim view viewpoint virtue vision visit volume
    war way weakness web website wednesday week weekend weight whole width wife window wish witness woman
    word work worker workshop world writer year yield"""
)

# of those, words that never end a keyword: number of users, way, first part
EMPTY = _set(
    """abstract account addition advantage afternoon aim amount anyone april article aspect attention august
    author basis benefit bit case category chance claim comment comparison conclusion contact couple day
    decade december degree detail difference difficulty effort end evening example extent fact fashion
    february figure finding friday glance goal hand help idea importance improvement instance interest
    introduction issue item january july june kind lack list literature lot majority man manner means
    mention midnight monday month morning need night noon note notion november number objective october
    one opportunity other outline overnight overview paper part people period piece place point
    possibility presence purpose question range reason reference report respect result role saturday
    section self sense september series set show side situation sort step study sum summary sunday term
    thing thousand thursday time today topic total tuesday type usage use variety version view way
    wednesday week weekend woman work year"""
)

# nouns that look like adjectives
_NOUNS_IN_AL = _set(
    """academic animal approval arithmetic arrival arsenal cable canal capital cathedral characteristic
    chemical classic clinic criminal critic crystal decimal diagonal dialect digital dynamic economic
    electronic ethic fabric festival financial functional general graphic heuristic hospital individual
    integral interval journal journalistic kinematic linguistic logic logistic magic manual mathematic
    mechanic medal metal metric mosaic music narrative native objective official optic panic perspective
    physic polynomial portal potential proposal protocol public refusal relative removal renewal
    representative republic residential retrieval rival robotic semantic sensitive signal statistic
    survival table tactic terminal topic traffic trial tribunal tutorial variable vegetable withdrawal"""
)
_ADJECTIVE_ENDINGS = (
    "able",
    "ible",
    "ic",
    "ical",
    "ous",
    "ive",
    "ful",
    "less",
    "ary",
    "al",
    "ian",
    "ish",
    "like",
    "based",
    "oriented",
    "driven",
    "specific",
)
_MORE_ADJECTIVES = _set(
    """absent abstract accurate adjacent american ancient autonomous binary black blind blue british chinese
    civil coarse concrete concurrent continuous convex dense discrete dynamic electric elliptic empty
    european explicit extreme false federal female fine flat foreign former french fuzzy german green
    grey hidden hybrid implicit inner integer intelligent invariant japanese latent local male mixed
    mobile multi multimodal multivariate national nested noisy non-linear nonlinear obscure offline
    online outer parallel partial prone quantum random rapid raw red redundant remote rigid rural russian
    scalable secure senior silent smart smooth social soft sparse spatial stable static steady stiff
    stochastic transient transparent unified uniform universal unstable upper urban vague virtual wet
    white wireless"""
)


def is_adjective(word: str) -> bool:
    """Whether a lower-case word is more likely an adjective than a noun, so that no keyword ends in it."""
    return (
        word in _MORE_ADJECTIVES
        or word in SOFT
        or (word.endswith(_ADJECTIVE_ENDINGS) and len(word) > 4 and word not in _NOUNS_IN_AL)
    )


_PLURALS = _set("children criteria matrices men people phenomena women")


def is_plural(word: str) -> bool:
    """Whether a lower-case noun looks like a plural."""
    return (word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is"))) or word in _PLURALS


# names of technologies, and those that are technologies only with a capital letter
TECHNOLOGIES = _set(
    """android ansible api arduino aws azure bash bazel cassandra chrome clickhouse cmake cpu css curl
    cython debian django docker elasticsearch erlang etcd fastapi fedora firebase firefox fortran gcc git
    github gitlab golang gpu gradle grafana graphql grpc gunicorn hadoop haskell heroku html http https
    influxdb ios istio java javascript jenkins jira json jupyter jwt kafka keras kibana kotlin kubectl
    kubernetes ldap linux llvm lua macos mariadb markdown matlab memcached mongodb mqtt mypy mysql netty
    nginx nomad npm numpy nvidia oauth ollama openai openapi opencv openssl pandas perl php pip podman
    postgres postgresql powershell prometheus protobuf pydantic pytest python pytorch qt rabbitmq redis
    regex rspec rst scikit-learn scipy sdk selenium solr splunk sql sqlalchemy sqlite ssh ssl svelte svg
    systemd tcp tensorflow terraform tls tomcat toml tox typescript ubuntu udp unix uvicorn vagrant vim
    vue wasm webassembly webpack websocket wordpress xml yaml yarn zig zookeeper zsh"""
)
TECHNOLOGIES_BY_NAME = _set(
    """angular apache argo celery consul dart electron elixir envoy excel flask flink flutter go helm julia
    lambda latex llama maven nats nix node oracle poetry pulsar rails react ruby ruff rust sass scala
    shell snowflake spark sphinx spring starlette swift textual travis vault vite windows"""
)
