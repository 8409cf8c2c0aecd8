"""A contest: Headcount beside the meters that teams build, by the same rules, in one run.

Whoever counts wrong is marked so, however fast; where somebody else is ahead, the table says it.

    __main__     `python -m bench.contest`: options, and what is kept
    plan         how many rounds of what length
    contenders   who takes part, and what each promises on acknowledging
    engines      servers that a contender needs: started on a temporary folder, ended by their ids
    interrupts   Ctrl-C, which waits until what is being started is known
    entrants     a contender that runs: its address, its processes, what it has counted
    examination  messages with every twist of the rules, and what must have been counted of them
    rounds       turns of load, one contender after the other
    files        history to import, and what it holds
    importers    programs that read such a file; run by the contest's own interpreter
    imports      turns of imports
    verdicts     medians with their spread, ratios, and who is ahead
    progress     what is running, and how long it still takes
    table        all of it as a document, and in the marked place of another
    chart        the picture
    apps/        the meters that contend, as their fans would write them
"""
