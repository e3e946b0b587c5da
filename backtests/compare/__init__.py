"""Is one version better than another, and is that more than noise?"""
