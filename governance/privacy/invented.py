"""Invented names are put together from these words. They may not change: other words rename everybody.

Given names are real and rare, so that hardly a client's own people bear them.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FEMALE = _words(
    "Adelheid Albertine Amabel Annis Araminta Aveline Bathsheba Benedetta Calanthe Celestine Clothilde Cordula "
    "Damaris Delphine Dorothea Dulcie Eglantine Elspeth Emmeline Eudora Euphemia Evadne Fenella Florentia Galatea "
    "Georgiana Gwendolen Hermione Hildegard Honora Idony Ingeborg Isolde Jacinta Jocasta Kerensa Lavinia Leocadia "
    "Leonora Lettice Ludmilla Melisande Melusine Millicent Mirabel Morwenna Nerissa Octavia Oriana Ottilie Perpetua "
    "Petronella Philippa Rosamund Sabina Seraphina Sidonie Sunniva Tamsin Theodora Thomasina Venetia Winifred "
    "Zenobia"
)
MALE = _words(
    "Aldous Aldric Ambrose Amias Anselm Balthasar Barnaby Bartholomew Basil Bevis Caspar Conrad Cosmo Crispin "
    "Cuthbert Cyprian Denzil Diggory Dunstan Egbert Erasmus Eustace Evander Everard Fabian Ferdinand Florian Gawain "
    "Gervase Godfrey Hector Horatio Humphrey Ignatius Inigo Jarvis Lambert Lancelot Leander Leofric Leopold Linus "
    "Lucian Lysander Marmaduke Merrick Mortimer Osbert Osric Oswin Peregrine Phineas Quentin Ranulf Roderick Rollo "
    "Septimus Silvester Tancred Thaddeus Theobald Tristram Wilfred Wolfram"
)
# A surname or a place is one of these and one of those: Ashcombe, Thornwick.
HEADS = _words(
    "Ash Barn Beck Birk Brack Bram Brind Carn Chal Clave Cran Dray Dun Elm Fal Fen Fern Garth Gil Had Hals Hart "
    "Haver Hesk Hol Ingle Kel Kirk Lam Lind Mar Mel Mer Nor Oak Pem Pen Quar Raven Rush Sel Shel Stan Thorn Wain "
    "War Wen Whin"
)
TAILS = _words(
    "acre bourne bridge brook burn bury by combe cote croft dale den field ford gate grave grove ham hurst leigh "
    "ley lock mere mond mont more ness over ridge shaw side stead stoke stow thorpe ton wald ware well wick wold "
    "worth wyke"
)

# Words that say what a place is, not which; they stay.
KEPT = _words(
    "street st avenue ave av road rd lane ln drive dr court ct boulevard blvd way place pl terrace crescent close "
    "gardens square sq parkway highway circle trail mews walk grove apt apartment suite ste unit flat room block "
    "blk box po p o north south east west new of the and for at in hospital hospitals clinic infirmary hospice "
    "medical health center centre group practice system healthcare nursing home care pharmacy university school "
    "college bank inc ltd llc gmbh ag plc corp company strasse straße str weg platz allee nagar marg jalan "
    "singapore usa uk germany india"
)
# Small words within surnames; they go.
PARTICLES = _words("de da di del della do dos du la le van von der den ten ter al el bin ibn zu af av")
