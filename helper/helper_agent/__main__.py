"""Entry of `python3 -m helper_agent`; the helper image's init runs `helper_agent.agent.main`"""

from helper_agent.agent import main

if __name__ == "__main__":
    main()
