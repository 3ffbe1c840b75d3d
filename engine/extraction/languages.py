"""Detects a text's language by its function words, and lists those words for the languages that documents are likely to
use.

English has its own lists. Any other language gets only what is listed here or, if unlisted, what the text itself shows:
the short words that recur.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from engine.extraction.words import FUNCTION

ENGLISH = "english"
ENGLISH_PROSE = 0.25  # of a text's words are function words of English: it is in no other language
SAMPLED = 600  # tokens looked at
LISTED_SHARE = (
    0.06  # of a text's words are function words of its language: in prose 0.35, in a manual full of options far fewer
)
ENGLISH_SHARE = 0.05  # tables and lists of options have few, and English names things everywhere


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "arabic": _set(
        """آخر أحد أخرى أما أن أنه أنها أو أول أي أيضا إحدى إذ إذا إلا إلى إن إنه اذا الآن التي الذي الذين الى ان
        او بأن بالإضافة بدون بسبب بشكل بعد بعض بل بما بين بينما تتم تحت تكون تم ثم جدا جميع حتى حسب حول حيث حين
        خلال دون ذلك ضد ضمن عبر على عليه عليها عن عند عندما غير فإن فقط فوق في فيه فيها قبل قد كان كانت كل كلما كما
        كيف كيفية لا لأن لقد لكل لكن للحد لم لمدة لن له لها لهذا ليس ليست ما مثل مع معظم مما من منذ منه منها نحو
        نفس هذا هذه هل هم هنا هناك هو هي و وإن وأن وفي وقد وكان ولا ولم ومن وهو وهي يتم يجب يقوم يكون يمكن يمكنك"""
    ),
    "dutch": _set(
        """aan al alle als altijd ander andere bij daar dan dat de der deze die dit doch doen door dus een en er ge
        geen gaat haar had heb hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je kan kon kunnen maar
        me meer men met mij mijn moet na naar niet niets nog nu of om omdat ons ook onder op over reeds te tegen
        ten toch toen tot tussen u uit uw van veel voor want waren was wat we wel werd wezen wie wij wil worden
        wordt zal ze zei zelf zich zij zijn zo zoals zonder zou"""
    ),
    "french": _set(
        """aucuns autant bas cependant certaines certains concernant devrait également fois importe jusque lequel
        laquelle lesquels mieux n'a n'importe pourrait près presque quant seul seule seulement soit souvent suivant
        suivante suivants surtout tel telle tels tenir vraiment à afin ai ainsi alors après au aucun aucune aussi
        autre autres aux avait avant avec avoir c'est car ce cela celle celui ces cet cette ceux chaque chez comme
        comment d'un d'une dans de depuis des deux dès doit doivent donc dont du elle elles en encore entre est et
        été être eu fait faire faut font grâce ici il ils j'ai je jusqu'à l'on la là le les leur leurs lors
        lorsqu'il lorsqu'on lorsqu'un lorsqu'une lorsque lui ma mais me même mes moins mon n'est ne ni non nos
        notre nous on ont ou où par parce pas pendant permet permettent peu peut peuvent plus plusieurs pour
        pourquoi puis qu'à qu'elle qu'il qu'ils qu'on qu'un qu'une quand que quel quelle quelles quelques quels qui
        quoi s'est sa sans se selon sera ses si son sont sous sur ta te tes toujours tous tout toute toutes très
        trop tu un une utilise utilisent va vers voici voir vos votre vous y"""
    ),
    "german": _set(
        """anstatt aufgrund darf darunter darüber davor dazwischen dürfen falls folgende folgenden folgender gibt
        gleich hierbei hierfür ihres innerhalb jene könnten möchte musste mussten sei seien somit sonst trotz
        unterhalb vielen wann wegen weitere weiteren wurden ab aber alle allem allen aller alles als also am an
        andere anderen auch auf aus außer bei beim bereits bis bzw da dabei dadurch dafür damit danach dann daran
        darauf das dass daß davon dazu dein dem den denen denn der deren des deshalb dessen die dies diese diesem
        diesen dieser dieses doch dort du durch ebenfalls ein eine einem einen einer eines einige er es etwa etwas
        euch für gegen gibt hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer
        in indem ins ist ja jede jedem jeden jeder jedes jedoch jetzt kann kein keine keinen können könnte man mehr
        mein mit muss müssen nach nachdem nicht nichts noch nun nur ob oder ohne schon sehr sein seine seinem
        seinen seiner seit selbst sich sie sind so sobald solche soll sollen sollte sondern sowie sowohl statt über
        um und uns unser unter viel viele vom von vor war waren warum was weil weiter welche welcher wenn wer
        werden wie wieder wir wird wo wobei wurde wurden während zu zum zur zwar zwei zwischen"""
    ),
    "hindi": _set(  # after spaCy's list (MIT)
        """जिसमें जिसका जिसके जिसकी जिनमें इनमें उनमें रखा लाया वापस निर्भर अंदर अगर अत अदि अधिक अनुसार अन्य अप
        अपना अपनि अपनी अपने अभि अभी अलग आगे आदि आप इंहिं इंहें इंहों इतयादि इत्यादि इन इनका इन्हीं इन्हें इन्हों इस
        इसका इसकि इसकी इसके इसमें इससे इसि इसी इसे उंहिं उंहें उंहों उन उनका उनकि उनकी उनके उनको उन्हीं उन्हें
        उन्हों उस उसके उससे उसि उसी उसे ऊपर एक एवं एस एसे ऐसे ओर और कइ कई कम कर करके करता करती करते करना करने करें
        कहते कहा का काफि काफ़ी कि किंहें किंहों कितना किन्हें किन्हों किया किर किस किसि किसी किसे की कुछ कुल के केवल
        कैसे को कोइ कोई कोन कोनसा कौन कौनसा क्या क्यों गई गए गया चाहिए चाहिये जब जहाँ जहां जा जाए जाता जाती जाते
        जाना जिंहें जिंहों जितना जिधर जिन जिन्हें जिन्हों जिस जिससे जिसे जीधर जेसा जेसे जैसा जैसे जो तक तब तरह ताकि
        तिंहें तिंहों तिन तिन्हें तिन्हों तिस तिसे तो था थि थी थे दबारा दवारा दिए दिया दी दुसरा दुसरे दूसरे दे देता
        देती देते दो द्वारा न नहिं नहीं ना निचे निहायत नीचे ने पर पहले पुरा पूरा पे प्रत्येक फिर बनि बनी बहि बही
        बहुत बाद बाला बिना बिलकुल बीच भि भितर भी भीतर मगर मानो मुझको मे में मेरा मैं यदि यह यहाँ यहां यहि यही या
        यिह ये रखता रखते रखना रखें रवासा रहा रही रहे ऱ्वासा लगभग लिए लिये लेकिन लेता लेते व वगेरह वह वहाँ वहां वहिं
        वही वहीं वाले वुह वे वग़ैरह सकता सकती सकते सके सबसे सभि सभी साथ साभ सारा सिर्फ से सो हर हि ही हुअ हुआ हुइ
        हुई हुए हूँ हे हें है हैं हो होता होति होती होते होना होने"""
    ),
    "italian": _set(
        """a ad agli ai al alla alle allo altri altro anche ancora avere aveva c'è che chi ci ciò co col come con
        contro cosa così cui da dagli dai dal dalla dalle dallo degli dei del dell dell' della delle dello dentro
        di dopo dove due e è ed era erano essere fa fino fra fu gli ha hanno i il in io la le lei li lo loro lui ma
        mentre mi mia mio molto ne negli nei nel nella nelle nello noi non nostra nostro o ogni oppure per perché
        più poi prima può qua quale quali quando quanto quella quelle quelli quello questa queste questi questo qui
        se sei sempre senza si sia sono sopra sotto sua sue sugli sui sul sulla sulle suo suoi tra tutte tutti
        tutto un una uno vi voi"""
    ),
    "polish": _set(
        """albo będzie będą choć chyba coś dalej dlaczego dość dzięki gdyż innego inny jakby jaki jeden jedna
        jednak kto mimo mogą musi należy naszych nią niektóre obok oto został tyle używa używane według wraz
        wszystko wtedy wśród zawsze znów tel np itp itd a aby ale ani bardzo bez bo by być był była było były ci co
        czy dla dlatego do dwa gdy gdzie go i ich ile im inne innych iż ja jak jako jakie jednak jego jej jest
        jeszcze jeśli jeżeli już każdy kiedy kilka która które którego której który których którym którzy lub ma
        mają mi między mnie może można mu my na nad nam nas nawet nie nich nim niż no o od ona one oni oraz po pod
        podczas ponieważ poza przed przede przez przy raz również są się siebie sobie swoje swój ta tak także tam
        te tego tej ten to też tu tych tylko tym u w we więc wiele więcej wszystkie wszystkich z za zaś ze został
        została zostały że żeby"""
    ),
    "portuguese": _set(
        """algum alguma algumas alguns antes apenas aqui através cada caso contudo deve devem durante embora essas
        fazer faz forem for haver houver mesma mesmos nem nenhum nenhuma nosso nunca onde outros outras pois porém
        portanto possa quaisquer qualquer quanto sempre sendo sido tais tal tanto tendo tinha vez vezes vários
        várias a à ainda ao aos aquela aquele as às assim até cada com como contra da das de dela dele deles depois
        desde dessa desse desta deste do dos e é ela elas ele eles em enquanto entre era essa essas esse esses esta
        está estão estas este estes eu foi foram há isso isto já la lhe mais mas me mesmo meu minha muito muitos na
        não nas nem no nos nossa nosso num numa o onde os ou outra outras outro outros para pela pelas pelo pelos
        pode podem por porque pois qual quando que quem são se seja sem ser seu seus só sob sobre sua suas também
        te tem têm ter toda todas todo todos tu um uma umas uns você"""
    ),
    "russian": _set(
        """будем будет будут бывает вами вместо вне всем всеми всю вся где другие других другой другим именно ими
        каждого каждой каждый какая какой кому кроме лишь могут можете нами наш него нужно обычно однако одна одной
        одного позволяет после потом почти поскольку самый свой свою сейчас сразу себе так как таким таких такого
        те теперь тогда тут хотя чаще чему эти а без более бы был была были было быть в вам вас весь во вот все
        всего всех вы где да даже для до его ее её если есть еще ещё же за здесь и из или им их к как какие каждый
        когда которая которого которой которые который которых которым кто ли либо между меня мне много может можно
        мой мы на над надо нам нас не него нее ней нет ни них но ну о об однако он она они оно от очень перед по
        под поэтому при про раз с свои своих своей себя сейчас со собой так также такие такой там те тем то того
        тоже той только том ту ты у уже чего чем через что чтобы эта эти этих это этого этой этом этот эту я
        является"""
    ),
    "spanish": _set(
        """alguna alguno además ambas ambos anterior aquellos aquellas cualquier cualquiera cuales cuyo cuya dentro
        debe deben embargo encima fuera haber hace hacer hacia luego mejor menos ninguna ninguno nunca partir
        podría primera primero pueda puedan sea sean sería siempre siguiente siguientes sólo suele tales tampoco
        tener tres varias varios veces vez a al algo algunas algunos ante antes aquel aquella así aún aunque bajo
        bien cada casi como con contra cual cuando de del desde donde dos durante e el él ella ellas ellos en entre
        era eran es esa esas ese eso esos esta está están estas este esto estos fue fueron ha había han hasta hay
        la las le les lo los más me mediante mi mientras mis muy nada ni no nos nosotros nuestra nuestro o os otra
        otras otro otros para pero poco por porque pues puede pueden que qué quien se sea según ser si sí sido sin
        sino sobre solo son su sus también tan tanto te tiene tienen toda todas todo todos tras tu un una unas uno
        unos ya y yo"""
    ),
    "swedish": _set(
        """alla allt än andra att av bara blev bli blir både de dem den denna deras dess det detta dig din du där
        då efter eller en ett finns från för före genom ha hade han hans har hon honom hur här i icke inom in ingen
        inte jag ju kan kunde man med mellan men mer mig min mot mycket måste någon något några när ni nu och också
        om oss på samma sedan sig sin sina sitt själv skall ska skulle som så till under upp ut utan vad var vara
        vi vid vilka vilken är över"""
    ),
}

# What links two nouns to a term: base de données, base de datos, base di dati.
LINKS = {
    "french": _set("de du des"),
    "spanish": _set("de del"),
    "portuguese": _set("de do da dos das"),
    "italian": _set("di del della dei delle"),
}

# Verb endings that nouns rarely have: such a word ends a phrase, as function words do.
VERBS: dict[str, re.Pattern[str]] = {
    "spanish": re.compile(
        r"\w{2,}(?:ándose|iéndose|iendo|aron|ieron|aban?|ará[ns]?|erá[ns]?|irá[ns]?|arían?|erían?|irían?|arse"
        r"|erse|irse|arlo|arla|ó)|\w{3,}(?<!m)ando"
    ),
    "portuguese": re.compile(
        r"\w{2,}(?:endo|indo|aram|eram|iram|avam?|ariam?|eriam?|iriam?|ará|erá|irá|arão|erão|irão|ou)|\w{3,}(?<!m)ando"
    ),
    "french": re.compile(r"\w{2,}(?:aient|èrent|erait|eront|issent|issant)"),
    "italian": re.compile(r"\w{3,}(?:ando|endo|avano|evano|ivano|arono|erono|irono|erebbe)"),
    "polish": re.compile(r"\w{3,}(?:uje|ują|ował|owała|ywać|ować|ając|ują|ała|ało)"),
    "russian": re.compile(r"\w{3,}(?:[уюяа]ет|[уюя]ют|ают|[еи]тся|[юуая]тся|ться|[оие]вать|ывать|ить)"),
}


# not English words: one in an English text belongs to a passage in another language
NOT_ENGLISH = frozenset(word for listed in FUNCTION_WORDS.values() for word in listed if not word.isascii())


def language(words: Sequence[str]) -> str | None:
    """`english`, a key of FUNCTION_WORDS, or None if it is neither. `words` in any case."""
    if len(words) > SAMPLED:
        words = words[:: len(words) // SAMPLED]
    total = len(words)
    if not total:
        return None
    low = [word.lower() for word in words]
    english = sum(map(FUNCTION.__contains__, low))
    if english >= ENGLISH_PROSE * total:
        return ENGLISH
    name, most = max(
        ((name, sum(map(listed.__contains__, low))) for name, listed in FUNCTION_WORDS.items()),
        key=lambda pair: pair[1],
    )
    shared = FUNCTION & FUNCTION_WORDS[name]  # do, to, on are Polish too
    if most > sum(word in FUNCTION and word not in shared for word in low) and most >= LISTED_SHARE * total:
        return name
    plain = sum(map(str.isascii, low))
    if english >= LISTED_SHARE * total or (plain >= 0.97 * total and (english >= ENGLISH_SHARE * total or total < 25)):
        return ENGLISH
    return None


def own_function_words(words: Sequence[str]) -> frozenset[str]:
    """For a text in an unlisted language: short lower-case words that make up more than half a percent of it, and
    single letters.

    None for Korean: its particles are endings.
    """
    counts = Counter(
        word for word in words if len(word) <= 4 and not word[0].isupper() and not "\uac00" <= word[0] <= "\ud7a3"
    )
    least = max(2, len(words) // 200)
    return frozenset(word for word, count in counts.items() if count >= least or len(word) == 1)
