"""The rooms behind `helper_agent.root`; nobody else imports them"""
